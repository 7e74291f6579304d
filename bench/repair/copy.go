// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
)

const (
	partitions = 128 // what `dyno serve` makes unless it is told otherwise
	// Pages are as a transfer has them, and as many writes as a page are under way.
	pageKeys, pageBytes = 256, 1 << 20
	underWay            = pageKeys
)

// open opens the data of a node that does not run, or new data.
func open(dir string) (*storage.Store, error) {
	engine, err := storage.OpenBadger(storage.DefaultBadgerConfig(dir), zap.NewNop())
	if err != nil {
		return nil, err
	}
	s, err := storage.Open(storage.DefaultConfig(), engine, zap.NewNop())
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return s, nil
}

// copyStore reads a store and writes what it reads into a new one, in the same batches and
// as durably as everything else, and returns how many keys a second that were.
func copyStore(ctx context.Context, from, to string) (rate float64, err error) {
	source, err := open(from)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := open(to)
	if err != nil {
		return 0, err
	}
	working, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	ended := make(chan error, 1)
	running.Go(func() { ended <- target.Run(working) })
	defer func() {
		stop()
		running.Wait()
		err = errors.Join(err, <-ended, target.Close())
	}()
	began := time.Now()
	keys, err := fold(ctx, source, func(op *storage.Op) error { return target.Do(op) })
	return float64(keys) / time.Since(began).Seconds(), err
}

// fold reads all of a store, page by page, has each object put elsewhere, some at a time,
// and returns how many there are.
func fold(
	ctx context.Context, s *storage.Store, do func(*storage.Op) error,
) (keys int, err error) {
	open := make(chan struct{}, underWay)
	var failed atomic.Pointer[error]
	err = pages(ctx, s, func(p uint16, page []storage.Entry) error {
		for i := range page {
			object := page[i].Object
			open <- struct{}{}
			err := do(&storage.Op{
				Partition: p, Bucket: kv.DefaultBucket, Key: page[i].Key,
				Apply: func(storage.Current) storage.Next { return storage.Put(object, nil, nil) },
				Done: func(r storage.Result) {
					if r.Err != nil {
						failed.Store(&r.Err)
					}
					<-open
				},
			})
			if err != nil {
				return err
			}
		}
		keys += len(page)
		return nil
	})
	if err != nil {
		return keys, err
	}
	for range underWay { // until the last is durable
		open <- struct{}{}
	}
	if first := failed.Load(); first != nil {
		err = *first
	}
	return keys, err
}

// pages reads all objects of the built-in bucket, as a transfer does.
func pages(
	ctx context.Context, s *storage.Store, take func(uint16, []storage.Entry) error,
) error {
	for p := range uint16(partitions) {
		var after []byte
		for more := true; more; {
			page, rest, err := s.Scan(p, kv.DefaultBucket, nil, after, pageKeys, pageBytes,
				storage.ModeFull)
			if err = errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			for i := range page {
				if page[i].State != storage.StatePresent {
					return fmt.Errorf("key %q: %v, %w", page[i].Key, page[i].State, page[i].Err)
				}
				after = page[i].Key
			}
			if err := take(p, page); err != nil {
				return err
			}
			more = rest
		}
	}
	return nil
}

// countKeys counts what the store of a node that does not run holds.
func countKeys(ctx context.Context, dir string) (n int, err error) {
	s, err := open(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	err = pages(ctx, s, func(_ uint16, page []storage.Entry) error {
		n += len(page)
		return nil
	})
	return n, err
}
