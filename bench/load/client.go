// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"math/rand/v2"
	"time"
)

// client sends requests one after another until the pace ends.
func (r *run) client(ctx context.Context, id int) {
	rng := rand.New(rand.NewPCG(r.cfg.Seed, 1<<32|uint64(id)))
	for {
		due, measured, more := r.pace.take(ctx)
		if !more {
			return
		}
		kind := Get
		if rng.Float64() < r.cfg.PutShare {
			kind = Put
		}
		number, siblings := r.keys.draw(rng), 0
		var err error
		if kind == Put {
			err = r.put(ctx, number, r.values.draw(rng), &siblings)
		} else {
			err = r.get(ctx, number, &siblings)
		}
		took := time.Since(due)
		r.rec.done.Add(1)
		switch {
		case err != nil && ctx.Err() != nil:
			return // cut off by the user: nothing was learned
		case err != nil:
			r.failed(ctx, id, kind, err, took, measured)
		case measured:
			r.rec.success(id, kind, took, siblings)
		}
	}
}

func (r *run) failed(
	ctx context.Context, id int, kind Kind, err error, took time.Duration, measured bool,
) {
	if measured {
		code, unknown := r.cfg.Classify(err)
		r.rec.failure(id, FailureKey{Kind: kind, Code: code, Unknown: unknown}, took)
	}
	if r.cfg.Rate == 0 {
		pause(ctx, failurePause)
	}
}

// get reads a key and remembers its context.
func (r *run) get(ctx context.Context, number uint64, siblings *int) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	reply, err := r.store.Get(ctx, keyName(r.cfg.Prefix, number))
	if err != nil {
		return err
	}
	r.seen[number].Store(&memory{context: reply.Context})
	*siblings = reply.Siblings
	return nil
}

// put writes a key over what is known of it. Where nothing is known, or two clients met
// there, the key is read first, within the same request: an application does the same.
func (r *run) put(ctx context.Context, number uint64, value []byte, siblings *int) error {
	known := r.seen[number].Load()
	if known == nil && r.cfg.Fresh {
		known = &memory{}
	}
	if known == nil || known.resolve {
		r.rec.resolved.Add(1)
		var ignored int
		if err := r.get(ctx, number, &ignored); err != nil {
			return err
		}
		known = r.seen[number].Load()
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	reply, err := r.store.Put(ctx, keyName(r.cfg.Prefix, number), value, known.context)
	if err != nil {
		// It may have been stored: only a read tells.
		r.seen[number].Store(&memory{resolve: true})
		return err
	}
	r.seen[number].Store(&memory{context: reply.Context, resolve: reply.Siblings > 1})
	if siblings != nil {
		*siblings = reply.Siblings
	}
	return nil
}
