// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// KeyResult is what [Bucket.GetMany] found for one key.
type KeyResult struct {
	Result
	// Err is of type *[Error]; where it is not nil the result holds nothing.
	Err error
}

const (
	// manyKeyBytes is how many bytes of keys one request carries: a list of the longest
	// keys would not fit a message.
	manyKeyBytes = 1 << 20
	// perKey is what a key takes beside its bytes, at most.
	perKey = 5
)

// GetMany reads any number of keys, in requests of up to 1,024 each, one after another.
// The results are in the order of the keys. Each key succeeds or fails by itself: the
// error is not nil only where the options are wrong or a key is empty, and then nothing
// was read. Config.Timeout bounds all of it together.
func (b *Bucket) GetMany(ctx context.Context, keys [][]byte, opts ...Option) ([]KeyResult, error) {
	var o options
	if why := o.fold(opts, optGet); why != "" {
		return nil, invalidError(wire.MethodGetMany, b.name, nil, why)
	}
	if b.name == "" {
		return nil, invalidError(wire.MethodGetMany, "", nil, "a bucket has a name")
	}
	for _, key := range keys {
		if len(key) == 0 {
			return nil, invalidError(wire.MethodGetMany, b.name, nil, "a key must not be empty")
		}
	}
	m := many{
		bucket: b, options: &o, keys: keys, deadline: b.client.deadline(ctx, &o),
		results: make([]KeyResult, len(keys)), tries: make([]uint8, len(keys)),
	}
	open := make([]int, len(keys))
	for i := range open {
		open[i] = i
	}
	for len(open) > 0 {
		n := m.chunk(open)
		again := m.ask(ctx, open[:n])
		open = append(open[n:len(open):len(open)], again...)
	}
	return m.results, nil
}

// many is a GetMany under way.
type many struct {
	bucket   *Bucket
	options  *options
	keys     [][]byte
	deadline time.Time
	results  []KeyResult
	tries    []uint8 // how often each key was asked for, and failed in a way that may pass
	pauses   int
}

// chunk is how many of the open keys go into the next request.
func (m *many) chunk(open []int) int {
	size := 0
	for n, i := range open {
		size += len(m.keys[i]) + perKey
		if n == wire.MaxList || n > 0 && size > manyKeyBytes {
			return n
		}
	}
	return len(open)
}

// ask does one request, and returns the keys that must be asked for again.
func (m *many) ask(ctx context.Context, ids []int) (again []int) {
	c := m.bucket.client
	req := wire.GetManyRequest{
		Common: wire.Common{Trace: m.options.trace}, ReadOptions: m.options.read,
		Bucket: m.bucket.name, Keys: make([][]byte, len(ids)),
	}
	q := &call{
		method: wire.MethodGetMany, op: wire.OpRead, again: true, bucket: m.bucket.name,
		endpoint: m.options.endpoint, deadline: m.deadline,
	}
	for j, i := range ids {
		req.Keys[j] = m.keys[i]
	}
	q.encode = func(dst []byte) []byte {
		req.TimeoutMS = q.timeoutMS
		return wire.AppendGetManyRequest(dst, &req)
	}
	raw, served, err := c.do(ctx, q)
	var got wire.GetManyResult
	if err == nil {
		if err = wire.DecodeGetManyResult(raw, &got); err != nil {
			err = q.badAnswer(err)
		} else if len(got.Results) != len(ids) {
			err = q.badAnswer(errWrongCount)
		}
	}
	if err != nil {
		for _, i := range ids {
			m.results[i].Err = err
		}
		return nil
	}
	return m.take(ctx, q, ids, got.Results, served)
}

// take sorts the entries of an answer. A key that did not fit is asked for again, which
// costs no try as long as the answer had room for something; one that failed in a way
// that may pass is asked for again a bounded number of times.
func (m *many) take(
	ctx context.Context, q *call, ids []int, entries []wire.GetManyEntry, served Served,
) (again []int) {
	faults := make([]fault, len(ids))
	progress, failing := false, false
	for j := range entries {
		if entries[j].Error != "" {
			faults[j] = answered(wire.OpRead, q.last, entries[j].Error)
		}
		progress = progress || faults[j].code != wire.CodeTooLarge
	}
	for j, i := range ids {
		f := &faults[j]
		if f.code == "" {
			m.results[i] = m.found(ctx, q, i, &entries[j], served)
			continue
		}
		fits := f.code == wire.CodeTooLarge && len(ids) > 1
		passes := f.then == wire.RetryLater || f.then == wire.RetryElsewhere
		if passes || !progress {
			m.tries[i]++
		}
		if (fits || passes) && int(m.tries[i]) < m.bucket.client.cfg.Retry.Attempts {
			again = append(again, i)
			failing = failing || passes
		}
		m.results[i] = KeyResult{Err: &Error{
			Op: q.method, Bucket: m.bucket.name, Key: clone(m.keys[i]), Node: served.Node,
			Code: f.code, Text: f.text, Outcome: OutcomeNone, Attempts: max(1, int(m.tries[i])),
		}}
	}
	if failing {
		c := m.bucket.client
		pause := c.pause(m.pauses, c.cfg.Retry.PauseMin, c.cfg.Retry.PauseMax)
		m.pauses++
		if woke, _ := c.sleep(ctx, pause, m.deadline); !woke {
			return nil
		}
	}
	return again
}

// found is the result of a key that was answered.
func (m *many) found(
	ctx context.Context, q *call, i int, entry *wire.GetManyEntry, served Served,
) (r KeyResult) {
	if entry.More {
		r.Result, r.Err = m.single(ctx, m.keys[i])
		return r
	}
	m.bucket.client.learn(entry.RingVersion, q.last)
	r.Result = Result{
		Served: served, Found: entry.Found, Siblings: siblingsOf(entry.Siblings),
		Context: entry.Context,
	}
	return r
}

// single reads a key whose siblings take several pages.
func (m *many) single(ctx context.Context, key []byte) (Result, error) {
	q := m.bucket.client.takeCall()
	defer q.release()
	q.method, q.bucket, q.key, q.endpoint = wire.MethodGet, m.bucket.name, key, m.options.endpoint
	q.get = wire.GetRequest{
		Common: wire.Common{Trace: m.options.trace}, ReadOptions: m.options.read,
		Bucket: m.bucket.name, Key: key,
	}
	q.encode, q.op, q.again, q.deadline = q.getParams, wire.OpRead, true, m.deadline
	return m.bucket.read(ctx, q)
}
