// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

// askPatience is how long the group is asked for news of buckets. The data path has the
// bucket already, in all but the first moments after it was made.
const askPatience = 2 * time.Second

// bucket finds the bucket of a request. One that this node has not heard of may be new:
// the group is asked once before the request is refused.
func (s *Server) bucket(ctx context.Context, name string) (kv.Bucket, error) {
	b, found := s.parts.Cluster.Bucket(name)
	if found {
		return b, nil
	}
	g := s.part.Load()
	if g != nil {
		if err := s.news.ask(ctx); err != nil {
			return kv.Bucket{}, &coordinator.Error{
				Code: wire.CodeNoLeader, Err: err, Text: fmt.Sprintf("this node knows no bucket %q, "+
					"and the metadata group can not be asked: %v", name, err),
			}
		}
		(*g).Read(func(st *state.State) {
			if st != nil {
				b, found = st.View().Bucket(name)
			}
		})
	}
	if !found {
		return kv.Bucket{}, &coordinator.Error{
			Code: wire.CodeNoSuchBucket, Text: fmt.Sprintf("%q; create it first", name),
		}
	}
	return b, nil
}

// news asks the group, on behalf of all who miss the same news at a time, one question
// after the other: a question answers those who came before it was put.
type news struct {
	// put asks; it is called on a goroutine of its own.
	put   func() error
	start func(job) // starts a goroutine that the server waits for

	mu      sync.Mutex // guards what follows
	running *question
	next    *question // of those who came after running was put
}

// question is one call to the group.
type question struct {
	answered chan struct{} // closed when err is there
	err      error
}

// ask waits until the group has answered a question that was put after the call, or ctx
// ends.
func (n *news) ask(ctx context.Context) error {
	q := n.join()
	select {
	case <-q.answered:
		return q.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join returns the question that is put next, and has it put where nobody does.
func (n *news) join() *question {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running == nil {
		n.running = newQuestion()
		n.start(n)
		return n.running
	}
	if n.next == nil {
		n.next = newQuestion()
	}
	return n.next
}

func newQuestion() *question { return &question{answered: make(chan struct{})} }

// run puts questions until nobody has one.
func (n *news) run() {
	for q := n.current(); q != nil; q = n.advance() {
		q.err = n.put()
		close(q.answered)
	}
}

func (n *news) current() *question {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running
}

func (n *news) advance() *question {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running, n.next = n.next, nil
	return n.running
}

// askGroup has this node learn all that the group has decided so far.
func (s *Server) askGroup() error {
	g, err := s.group()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.life, askPatience)
	defer cancel()
	_, err = g.Barrier(ctx)
	return err
}

// requestID is the client's, or one that is drawn for it.
func requestID(id kv.RequestID) kv.RequestID {
	if id.IsZero() {
		return newID()
	}
	return id
}

// handleBucketCreate answers bucket.create.
func (s *Server) handleBucketCreate(ctx context.Context, req *request) (encoder, error) {
	var q wire.BucketCreateRequest
	if err := wire.DecodeBucketCreateRequest(req.params, &q); err != nil {
		return nil, err
	}
	return s.changeBucket(ctx, req, q.Common, state.BucketCreate{
		Request: requestID(q.RequestID), Bucket: kv.Bucket{
			Name: q.Name, N: q.N, R: q.R, W: q.W, PR: q.PR, PW: q.PW, Sloppy: !q.Strict, LWW: q.LWW,
			TTL: q.TTLMS, Fenced: q.Fenced,
		},
	})
}

// handleBucketUpdate answers bucket.update.
func (s *Server) handleBucketUpdate(ctx context.Context, req *request) (encoder, error) {
	var q wire.BucketUpdateRequest
	if err := wire.DecodeBucketUpdateRequest(req.params, &q); err != nil {
		return nil, err
	}
	change := state.BucketUpdate{
		Request: requestID(q.RequestID), Name: q.Name, R: q.R, W: q.W, PR: q.PR, PW: q.PW,
	}
	if q.Sloppy != nil {
		change.SetSloppy, change.Sloppy = true, *q.Sloppy
	}
	if q.TTLMS != nil {
		change.SetTTL, change.TTL = true, *q.TTLMS
	}
	return s.changeBucket(ctx, req, q.Common, change)
}

// handleBucketDelete answers bucket.delete.
func (s *Server) handleBucketDelete(ctx context.Context, req *request) (encoder, error) {
	var q wire.BucketDeleteRequest
	if err := wire.DecodeBucketDeleteRequest(req.params, &q); err != nil {
		return nil, err
	}
	return s.changeBucket(ctx, req, q.Common,
		state.BucketDelete{Request: requestID(q.RequestID), Name: q.Name})
}

// changeBucket answers with the bucket as it is then, or an empty map where it is gone.
func (s *Server) changeBucket(
	ctx context.Context, req *request, common wire.Common, c state.Command,
) (encoder, error) {
	ctx, cancel, err := s.begin(ctx, req, common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	result, err := s.decide(ctx, c)
	if err != nil {
		return nil, err
	}
	if result.Bucket == nil {
		return wire.AppendEmptyResult, nil
	}
	return func(dst []byte) []byte { return wire.AppendBucket(dst, result.Bucket) }, nil
}
