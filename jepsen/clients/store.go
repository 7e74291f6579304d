// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"errors"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

// store is a bucket as workloads ask for it.
type store struct {
	bucket *client.Bucket
	nodes  []string        // by their client addresses, for requests that name one
	with   []client.Option // of every request
}

// NewStore lets workloads ask the built-in bucket through cl, with opts in each request.
// Requests that name a node may come only if it knows one: see NewStoreOf.
func NewStore(cl *client.Client, opts ...client.Option) workload.Store {
	return NewStoreOf(cl, nil, opts...)
}

// NewStoreOf is NewStore for requests that name a node too: the first is nodes[0], by its
// client address. One that it does not know is invalid, and refused.
func NewStoreOf(cl *client.Client, nodes []string, opts ...client.Option) workload.Store {
	return &store{bucket: cl.Bucket(client.DefaultBucket), nodes: nodes, with: opts}
}

// NewStoreIn is NewStore for another bucket.
func NewStoreIn(cl *client.Client, bucket string, opts ...client.Option) workload.Store {
	return &store{bucket: cl.Bucket(bucket), with: opts}
}

// Get implements workload.Store.
func (s *store) Get(ctx context.Context, r *workload.Request) workload.Answer {
	opts := s.options(r, false)
	if r.Atomic {
		opts = append(opts, client.WithAtomic())
	}
	got, err := s.bucket.Get(ctx, []byte(r.Key), opts...)
	if err != nil {
		return failed(err)
	}
	return answered(got.Served, got.Context, got.Siblings)
}

// Put implements workload.Store.
func (s *store) Put(ctx context.Context, r *workload.Request) workload.Answer {
	opts := s.options(r, true)
	if r.Siblings {
		opts = append(opts, client.ReturnSiblings())
	}
	if r.TTL > 0 {
		opts = append(opts, client.WithTTL(r.TTL))
	}
	got, err := s.bucket.Put(ctx, []byte(r.Key), r.Value, opts...)
	if err != nil {
		return failed(err)
	}
	return answered(got.Served, got.Context, got.Siblings)
}

// Delete implements workload.Store.
func (s *store) Delete(ctx context.Context, r *workload.Request) workload.Answer {
	got, err := s.bucket.Delete(ctx, []byte(r.Key), s.options(r, true)...)
	if err != nil {
		return failed(err)
	}
	return answered(got.Served, got.Context, nil)
}

func (s *store) options(r *workload.Request, write bool) []client.Option {
	all, owners := client.WithR, client.WithPR
	level, primary := r.Levels.R, r.Levels.PR
	if write {
		all, owners = client.WithW, client.WithPW
		level, primary = r.Levels.W, r.Levels.PW
	}
	opts := append([]client.Option(nil), s.with...)
	if r.Node > 0 {
		at := "" // which the client refuses
		if r.Node <= len(s.nodes) {
			at = s.nodes[r.Node-1]
		}
		opts = append(opts, client.WithEndpoint(at))
	}
	if level > 0 {
		opts = append(opts, all(client.Replicas(int(level))))
	}
	if primary > 0 {
		opts = append(opts, owners(client.Replicas(int(primary))))
	}
	if write && len(r.Context) > 0 {
		opts = append(opts, client.WithContext(r.Context))
	}
	return opts
}

func answered(by client.Served, c client.Context, siblings []client.Sibling) workload.Answer {
	a := workload.Answer{
		Outcome: history.OK, Context: c, Moved: by.Moved, Again: by.Attempts > 1, Node: by.Node,
	}
	for i := range siblings {
		if !siblings[i].Deleted {
			a.Values = append(a.Values, siblings[i].Value)
		}
	}
	return a
}

func failed(err error) workload.Answer {
	a := workload.Answer{Outcome: history.Fail, Error: err.Error()}
	if client.OutcomeOf(err) == client.OutcomeUnknown {
		a.Outcome = history.Info
	}
	var e *client.Error
	if errors.As(err, &e) {
		// An error does not tell where the attempts went: any but the first may have moved.
		a.Node, a.Again = e.Node, e.Attempts > 1
		a.Moved = a.Again
	}
	return a
}
