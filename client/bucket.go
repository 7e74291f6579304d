// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"

	"github.com/dyno-kv/dyno/wire"
)

// Bucket is a named space of keys. It may be used from any number of goroutines, and
// costs nothing to make. Errors of its methods are of type *[Error]. Keys and values that
// are given to them are not changed, and not used after they return.
type Bucket struct {
	client *Client
	name   string
}

// Name is the bucket's.
func (b *Bucket) Name() string { return b.name }

// Get reads a key. That nothing is found is no error. Siblings that do not fit one answer
// are fetched one after another.
func (b *Bucket) Get(ctx context.Context, key []byte, opts ...Option) (Result, error) {
	var o options
	q, err := b.begin(&o, wire.MethodGet, key, opts, optGet)
	if err != nil {
		return Result{}, err
	}
	defer q.release()
	q.get = wire.GetRequest{
		Common: wire.Common{Trace: o.trace}, ReadOptions: o.read, Bucket: b.name, Key: key,
	}
	q.encode, q.op, q.again = q.getParams, wire.OpRead, true
	q.deadline = b.client.deadline(ctx, &o)
	return b.read(ctx, q)
}

// Put writes a value; nil is an empty one. Without [WithContext] it overwrites nothing:
// values that are there become its siblings. Each Put carries a request id, and is done
// again with it where the outcome was unknown.
func (b *Bucket) Put(ctx context.Context, key, value []byte, opts ...Option) (PutResult, error) {
	var o options
	q, err := b.begin(&o, wire.MethodPut, key, opts, optPut)
	if err != nil {
		return PutResult{}, err
	}
	defer q.release()
	q.deadline = b.client.deadline(ctx, &o)
	return b.put(ctx, q, key, value, &o)
}

func (b *Bucket) put(
	ctx context.Context, q *dataCall, key, value []byte, o *options,
) (PutResult, error) {
	if o.write.RequestID.IsZero() {
		o.write.RequestID = b.client.NewRequestID()
	}
	q.put = wire.PutRequest{
		Common: wire.Common{Trace: o.trace}, WriteOptions: o.write, Bucket: b.name, Key: key,
		Value: value, TTLMS: o.ttlMS, ReturnSiblings: o.siblings,
	}
	q.encode, q.op, q.again = q.putParams, wire.OpWrite, true
	q.value, q.context = len(value), len(o.write.Context)
	raw, served, err := b.client.do(ctx, &q.call)
	if err != nil {
		return PutResult{}, err
	}
	var got wire.PutResult
	if err := wire.DecodePutResult(raw, &got); err != nil {
		return PutResult{}, q.badAnswer(err)
	}
	return PutResult{
		Served: served, Context: got.Context, SiblingCount: got.SiblingCount,
		Siblings: siblingsOf(got.Siblings), RequestID: o.write.RequestID,
	}, nil
}

// Delete removes what its context covers; without [WithContext] what a quorum read finds
// when it is carried out. Values that it did not cover stay. It carries a request id as
// Put does.
func (b *Bucket) Delete(ctx context.Context, key []byte, opts ...Option) (DeleteResult, error) {
	var o options
	q, err := b.begin(&o, wire.MethodDelete, key, opts, optDelete)
	if err != nil {
		return DeleteResult{}, err
	}
	defer q.release()
	if o.write.RequestID.IsZero() {
		o.write.RequestID = b.client.NewRequestID()
	}
	q.del = wire.DeleteRequest{
		Common: wire.Common{Trace: o.trace}, WriteOptions: o.write, Bucket: b.name, Key: key,
	}
	q.encode, q.op, q.again = q.deleteParams, wire.OpWrite, true
	q.context = len(o.write.Context)
	q.deadline = b.client.deadline(ctx, &o)
	raw, served, err := b.client.do(ctx, &q.call)
	if err != nil {
		return DeleteResult{}, err
	}
	var got wire.DeleteResult
	if err := wire.DecodeDeleteResult(raw, &got); err != nil {
		return DeleteResult{}, q.badAnswer(err)
	}
	return DeleteResult{
		Served: served, Context: got.Context, RequestID: o.write.RequestID,
	}, nil
}

// begin checks what this side can, and takes a call for a request about one key.
func (b *Bucket) begin(
	o *options, method string, key []byte, opts []Option, allowed optionKind,
) (*dataCall, error) {
	why := o.fold(opts, allowed)
	switch {
	case why != "":
	case len(key) == 0:
		why = "a key must not be empty"
	case b.name == "":
		why = "a bucket has a name"
	}
	if why != "" {
		return nil, invalidError(method, b.name, key, why)
	}
	q := b.client.takeCall()
	q.method, q.bucket, q.key, q.endpoint = method, b.name, key, o.endpoint
	return q, nil
}

const (
	// maxRestarts is how often a paged read begins anew because the key was written.
	maxRestarts = 3
	// maxPages bounds a read whose node pages without end: far above what the siblings
	// that a key can have take.
	maxPages = 1024
)

// read does a get with all its pages. The pages are asked of one node, whose cursors they
// are; where the key changes in between the read begins again.
func (b *Bucket) read(ctx context.Context, q *dataCall) (Result, error) {
	for restart := 0; ; restart++ {
		result, changed, err := b.readPages(ctx, q)
		if !changed || err == nil {
			return result, err
		}
		if restart == maxRestarts {
			return Result{}, &Error{
				Op: q.method, Bucket: b.name, Key: clone(q.key), Node: result.Node,
				Code: CodeChanged, Outcome: OutcomeNone, Attempts: q.attempts, Err: err,
				Text: fmt.Sprintf("written during each of %d reads of its pages; try again",
					maxRestarts+1),
			}
		}
	}
}

// readPages reads one page after the other. changed says that the error may come from a
// write in between.
func (b *Bucket) readPages(
	ctx context.Context, q *dataCall,
) (result Result, changed bool, err error) {
	q.get.Skip = nil
	for page := 0; page < maxPages; page++ {
		raw, served, err := b.client.do(ctx, &q.call)
		if err != nil {
			return result, page > 0 && codeOf(err) == wire.CodeInvalid, err
		}
		var got wire.GetResult
		if err := wire.DecodeGetResult(raw, &got); err != nil {
			return Result{}, false, q.badAnswer(err)
		}
		b.client.learn(got.RingVersion, q.last)
		siblings := siblingsOf(got.Siblings)
		if page > 0 {
			siblings = append(result.Siblings, siblings...)
		}
		result = Result{Served: served, Found: got.Found, Siblings: siblings, Context: got.Context}
		if !got.More {
			return result, false, nil
		}
		if len(got.Siblings) == 0 || len(got.Skip) == 0 {
			break
		}
		q.get.Skip = got.Skip
		q.stay()
	}
	return Result{}, false, q.badAnswer(errEndlessPages)
}
