// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"

	"github.com/dyno-kv/dyno/wire"
)

const (
	// maxRereads is how often an update reads again because its put was refused for what
	// others wrote in between.
	maxRereads = 5
	// maxSettles is how many puts may follow an update to join what others wrote at the
	// same time. Two clients that do so at once make siblings once more; with the pauses
	// between, few rounds are enough.
	maxSettles = 5
)

// Update reads a key, hands what it found to fn, and writes what fn returns, with the
// context of what was read. fn gets no sibling where the key has no value. With
// [WithResolver] it gets at most one: siblings are joined before. Without, fn joins them.
//
// fn may be called several times, but what it returned is stored once at most: after an
// unknown outcome Update does not begin anew, it fails. fn returns ErrUnchanged to write
// nothing, and Update then returns no error; any other error of fn is returned as it is.
//
// Somebody else may write at the same time. Then the key has siblings after the update,
// as SiblingCount says; with [WithResolver] they are joined by further puts, as far as
// that comes to an end in a few rounds. The result is that of the last put.
//
// Config.Timeout bounds all of it together.
func (b *Bucket) Update(
	ctx context.Context, key []byte, fn func(siblings []Sibling) ([]byte, error), opts ...Option,
) (PutResult, error) {
	var o options
	q, err := b.begin(&o, wire.MethodPut, key, opts, optUpdate)
	if err != nil {
		return PutResult{}, err
	}
	q.release()
	u := update{bucket: b, key: key, fn: fn, options: o}
	deadline := b.client.deadline(ctx, &o)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for reread := 0; ; reread++ {
		result, stage, err := u.once(ctx)
		switch {
		case err == nil:
			return u.settle(ctx, result), nil
		case stage == asking && errors.Is(err, ErrUnchanged):
			return result, nil
		case stage != writing || codeOf(err) != wire.CodeTooManySiblings ||
			OutcomeOf(err) != OutcomeNone || reread == maxRereads:
			return PutResult{}, err
		}
		if woke, _ := u.pause(ctx, reread); !woke {
			return PutResult{}, err
		}
	}
}

// update is an Update under way.
type update struct {
	bucket  *Bucket
	key     []byte
	fn      func(siblings []Sibling) ([]byte, error)
	options options
}

// stage is how far an update came.
type stage uint8

const (
	reading stage = 1 + iota
	asking
	writing
)

// once reads, asks fn and writes. Where fn wanted no change the result says what it is
// that stays.
func (u *update) once(ctx context.Context) (PutResult, stage, error) {
	read, err := u.read(ctx)
	if err != nil {
		return PutResult{}, reading, err
	}
	siblings := read.Siblings
	if u.options.join != nil && len(siblings) > 1 {
		joined, err := u.join(siblings)
		if err != nil {
			return PutResult{}, reading, err
		}
		siblings = []Sibling{joined}
	}
	value, err := u.fn(siblings)
	if err != nil {
		return PutResult{
			Served: read.Served, Context: read.Context, SiblingCount: len(read.Siblings),
		}, asking, err
	}
	result, err := u.write(ctx, value, read.Context)
	return result, writing, err
}

// join is the siblings as one, with the latest of their times.
func (u *update) join(siblings []Sibling) (Sibling, error) {
	value, err := u.options.join(siblings)
	joined := Sibling{Value: value}
	for _, s := range siblings {
		if s.Written.After(joined.Written) {
			joined.Written = s.Written
		}
	}
	return joined, err
}

// settle joins siblings that are left after the update. What fails here leaves them, to
// be joined by the next reader; the update itself is stored.
func (u *update) settle(ctx context.Context, last PutResult) PutResult {
	if u.options.join == nil {
		return last
	}
	for round := 0; round < maxSettles && last.SiblingCount > 1; round++ {
		if woke, _ := u.pause(ctx, round); !woke {
			break
		}
		siblings, seen := last.Siblings, last.Context
		if len(siblings) == 0 {
			read, err := u.read(ctx)
			if err != nil {
				break
			}
			if siblings, seen = read.Siblings, read.Context; len(siblings) < 2 {
				last.SiblingCount, last.Context = len(siblings), seen
				break
			}
		}
		value, err := u.options.join(siblings)
		if err != nil {
			break
		}
		next, err := u.write(ctx, value, seen)
		if err != nil {
			break
		}
		last = next
	}
	return last
}

func (u *update) pause(ctx context.Context, n int) (bool, fault) {
	c := u.bucket.client
	deadline, _ := ctx.Deadline()
	return c.sleep(ctx, c.pause(n, c.cfg.Retry.PauseMin, c.cfg.Retry.PauseMax), deadline)
}

func (u *update) read(ctx context.Context) (Result, error) {
	q := u.bucket.client.takeCall()
	defer q.release()
	u.aim(ctx, &q.call, wire.MethodGet, wire.OpRead)
	q.get = wire.GetRequest{
		Common: wire.Common{Trace: u.options.trace}, ReadOptions: u.options.read,
		Bucket: u.bucket.name, Key: u.key,
	}
	q.encode = q.getParams
	return u.bucket.read(ctx, q)
}

func (u *update) write(ctx context.Context, value []byte, seen Context) (PutResult, error) {
	q := u.bucket.client.takeCall()
	defer q.release()
	u.aim(ctx, &q.call, wire.MethodPut, wire.OpWrite)
	o := u.options
	o.write.Context, o.siblings = seen, o.join != nil
	return u.bucket.put(ctx, q, u.key, value, &o)
}

func (u *update) aim(ctx context.Context, q *call, method string, op wire.Op) {
	q.method, q.op, q.again = method, op, true
	q.bucket, q.key, q.endpoint = u.bucket.name, u.key, u.options.endpoint
	q.deadline, _ = ctx.Deadline()
}
