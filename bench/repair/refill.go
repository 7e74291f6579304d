// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/dyno-kv/dyno/bench/load"
	"github.com/dyno-kv/dyno/client"
)

// lost is the one of three nodes that is killed, and later loses its directory.
const lost, refillNodes = 2, 3

// refill kills a node and has its trees built anew, under a load that goes through it; then
// takes its directory away and has its store filled; and copies, without any protocol, the
// store of another node beside it.
func (m *measure) refill(ctx context.Context) (err error) {
	if err := m.start(ctx, refillNodes); err != nil {
		return err
	}
	running := true
	defer func() {
		if running {
			err = errors.Join(err, m.stop())
		}
	}()
	say("%d keys", m.keys)
	if err := m.preload(ctx); err != nil {
		return err
	}
	if err := m.rebuild(ctx); err != nil {
		return err
	}
	took, err := m.fill(ctx)
	if err != nil {
		return err
	}
	running = false // to leave disk and processors to the copy
	if err := m.stop(); err != nil {
		return err
	}
	say("copy of a store")
	plain, err := copyStore(ctx, filepath.Join(m.dir, m.Name(0), "data"),
		filepath.Join(m.dir, "copy"))
	if err != nil {
		return err
	}
	filled, err := countKeys(ctx, filepath.Join(m.dir, m.Name(lost), "data"))
	if err != nil {
		return err
	}
	rate := float64(filled) / took.Seconds()
	return m.tell("Fill", figure{float64(filled), "keys"}, figure{took.Seconds(), "s"},
		figure{rate, "keys/s"}, figure{rate * valueSize / (1 << 20), "value-MiB/s"},
		figure{plain, "plain-copy-keys/s"}, figure{rate / plain, "share-of-plain-copy"})
}

// preload writes all keys, and waits until all owners hold them.
func (m *measure) preload(ctx context.Context) error {
	cfg := m.loading()
	cfg.Preload, cfg.Fresh, cfg.WarmUp = true, true, 0
	cfg.Ops, cfg.Duration, cfg.PutShare = 1, 0, 0
	if _, err := load.Run(ctx, cfg, m.through(-1)); err != nil {
		return err
	}
	return m.client.HintsWait(ctx, nil, client.WithTimeout(patience))
}

// rebuild measures how long it takes until the trees of a node that was killed are known
// again, and what clients that ask through it notice.
func (m *measure) rebuild(ctx context.Context) error {
	say("load before")
	cfg := m.loading()
	before, err := load.Run(ctx, cfg, m.through(lost))
	if err != nil {
		return err
	}
	if err := m.Kill(lost); err != nil {
		return err
	}
	began := time.Now()
	if err := m.Restart(lost); err != nil {
		return err
	}
	if err := m.Ready(ctx, lost); err != nil {
		return err
	}
	ready := time.Since(began)
	say("trees are built")
	var took time.Duration
	with, err := during(ctx, cfg, m.through(lost), "trees",
		func(ctx context.Context) (bool, error) {
			s, err := m.client.RepairStatus(ctx, client.WithEndpoint(m.Addresses()[lost]))
			took = time.Since(began)
			return err == nil && s.Trees.Owned > 0 && s.Trees.Known == s.Trees.Owned, err
		})
	if err != nil {
		return err
	}
	say("load after")
	after, err := load.Run(ctx, cfg, m.through(lost))
	if err != nil {
		return err
	}
	all := []figure{
		{float64(m.keys), "keys"}, {ready.Seconds(), "s-to-ready"}, {took.Seconds(), "s-to-trees"},
	}
	all = append(all, latencies("before", before)...)
	all = append(all, latencies("during", with)...)
	all = append(all, latencies("after", after)...)
	if with != nil {
		all = append(all, ratio([]*load.Report{with}, []*load.Report{before, after}))
	}
	return m.tell("Rebuild", all...)
}

// fill measures from the start of a node without its directory until it serves again.
func (m *measure) fill(ctx context.Context) (time.Duration, error) {
	if err := errors.Join(m.Kill(lost), m.Wipe(lost)); err != nil {
		return 0, err
	}
	say("a lost store is filled")
	began := time.Now()
	if err := m.Rejoin(lost); err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := await(ctx, "the store is full", func(ctx context.Context) (bool, error) {
		if err := m.Ended(lost); err != nil {
			stop(err)
			return false, err
		}
		s, err := m.client.ClusterStatus(ctx, client.WithEndpoint(m.Addresses()[lost]))
		if err != nil {
			return false, err
		}
		for _, member := range s.Members {
			if member.Name == m.Name(lost) {
				return member.Ready && member.Confirmed, errors.New(member.Reason)
			}
		}
		return false, errors.New("it is no member")
	})
	return time.Since(began), err
}
