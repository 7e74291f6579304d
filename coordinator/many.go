// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/dyno-kv/dyno/kv"
)

// GetManyRequest is a client's read of several keys with the same options.
type GetManyRequest struct {
	GetRequest          // Key is not used
	Keys       [][]byte // lent as GetRequest.Key
}

// Got is the answer for one key of several.
type Got struct {
	Object kv.Object
	Err    error
}

// GetMany reads each key as Get does, up to MaxFanOut at a time, and calls each with the
// answers in the order of the keys, one after another, as soon as they are there. Where
// each returns false it stops: what would not fit the reply need not be read.
func (c *Coordinator) GetMany(ctx context.Context, req *GetManyRequest, each func(int, Got) bool) {
	for from := 0; from < len(req.Keys); from += c.cfg.MaxFanOut {
		keys := req.Keys[from:min(from+c.cfg.MaxFanOut, len(req.Keys))]
		for i, got := range c.getSome(ctx, req.GetRequest, keys) {
			if !each(from+i, got) {
				return
			}
		}
	}
}

func (c *Coordinator) getSome(ctx context.Context, like GetRequest, keys [][]byte) []Got {
	answers := make([]Got, len(keys))
	var group errgroup.Group
	for i, key := range keys {
		one := like
		one.Key = key
		read := func() error {
			answers[i].Object, answers[i].Err = c.Get(ctx, &one)
			return nil // each key has its own answer
		}
		if c.reading.Add(1) > int64(c.cfg.MaxReads) {
			c.reading.Add(-1)
			_ = read() // never an error; the others go on meanwhile
			continue
		}
		group.Go(func() error {
			defer c.reading.Add(-1)
			return read()
		})
	}
	_ = group.Wait() // no member returns an error
	return answers
}
