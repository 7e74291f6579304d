// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Session does steps one after the other, as one process of a history, and records them.
// It is for one goroutine.
type Session struct {
	store   Store
	record  *history.Recorder
	now     func() int64
	process int
	client  uint32
	seq     uint64
	// known is the newest context of each key, with all that it came from.
	known map[string]knowledge
}

type knowledge struct {
	context []byte
	values  []history.Value
}

// NewSession returns the session of a process, from 0 on; its values are those of client
// process+1. now is the clock of the run, in nanoseconds.
func NewSession(s Store, process int, r *history.Recorder, now func() int64) *Session {
	return &Session{
		store: s, record: r, now: now, process: process, client: uint32(process) + 1,
		known: make(map[string]knowledge),
	}
}

// Run does n steps that w draws, or fewer if ctx ends. An error is one of the run, not of
// the store: what the store refuses is in the history.
func Run(ctx context.Context, s *Session, w Workload, rng *rand.Rand, n int) error {
	for range n {
		step := w.Next(rng)
		select {
		case <-time.After(step.Pause):
		case <-ctx.Done():
			return nil
		}
		if err := s.Do(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// Do does one step. An error is one of the run: the operation can not be recorded, or it
// shows what nobody has written.
func (s *Session) Do(ctx context.Context, step Step) error {
	op := history.Op{
		Process: s.process, Kind: step.Kind, Key: step.Key, Final: step.Final,
		R: step.Levels.R, W: step.Levels.W, PR: step.Levels.PR, PW: step.Levels.PW,
		Atomic: step.Atomic, Invoked: s.now(),
	}
	var err error
	switch step.Kind {
	case history.Get, history.Members:
		err = s.read(ctx, &op, &step)
	case history.Put, history.Delete:
		err = s.write(ctx, &op, &step)
	case history.Add:
		err = s.add(ctx, &op, &step)
	default:
		return fmt.Errorf("workload: no step is a %s", step.Kind)
	}
	if err != nil {
		return fmt.Errorf("workload: %s, served by %q: %w", &op, op.Node, err)
	}
	op.Completed = s.now()
	return s.record.Op(&op)
}

// read does a Get or Members.
func (s *Session) read(ctx context.Context, op *history.Op, step *Step) error {
	r := Request{Key: step.Key, Levels: step.Levels, Atomic: step.Atomic}
	got := s.store.Get(ctx, &r)
	tell(op, &got)
	if op.Outcome != history.OK {
		op.Outcome = history.Fail // a read leaves nothing behind
		return nil
	}
	var err error
	if op.Kind == history.Members {
		op.Read, err = joinSets(got.Values)
		return err
	}
	op.Read, err = openAll(got.Values)
	s.known[step.Key] = knowledge{got.Context, op.Read}
	return err
}

// write does a Put or a Delete, with what the session knows of the key or without.
func (s *Session) write(ctx context.Context, op *history.Op, step *Step) error {
	op.Value = s.value()
	r := Request{Key: step.Key, Levels: step.Levels, Siblings: step.Siblings}
	if with := s.known[step.Key]; !step.Blind && len(with.context) > 0 {
		r.Context, op.Context = with.context, with.values
	} else {
		op.Blind = true
	}
	do := s.store.Delete
	if op.Kind == history.Put {
		r.Value, do = op.Value.Payload(step.Size), s.store.Put
	}
	got := do(ctx, &r)
	tell(op, &got)
	if op.Outcome != history.OK {
		return nil
	}
	var err error
	op.Read, err = openAll(got.Values)
	values := []history.Value{op.Value}
	for _, v := range op.Read {
		if v != op.Value {
			values = append(values, v)
		}
	}
	s.known[step.Key] = knowledge{got.Context, values}
	return err
}

// add reads the set, and writes it with one element more in the place of what it read.
func (s *Session) add(ctx context.Context, op *history.Op, step *Step) error {
	op.Value = s.value()
	r := Request{Key: step.Key, Levels: step.Levels.of(history.Get)}
	got := s.store.Get(ctx, &r)
	tell(op, &got)
	if op.Outcome != history.OK {
		op.Outcome = history.Fail // nothing was written
		return nil
	}
	elements, err := joinSets(got.Values)
	if err != nil {
		return err
	}
	if len(elements) >= history.MaxValues {
		return fmt.Errorf("%w: the set is full", history.ErrTooLong)
	}
	r = Request{
		Key: step.Key, Levels: step.Levels.of(history.Put), Context: got.Context,
		Value: encodeSet(append(elements, op.Value)),
	}
	got = s.store.Put(ctx, &r)
	tell(op, &got)
	return nil
}

func (s *Session) value() history.Value {
	s.seq++
	return history.Value{Client: s.client, Seq: s.seq}
}

func tell(op *history.Op, a *Answer) {
	op.Outcome, op.Node, op.Error, op.Moved = a.Outcome, a.Node, a.Error, a.Moved
}

func openAll(payloads [][]byte) ([]history.Value, error) {
	out := make([]history.Value, len(payloads))
	for i, b := range payloads {
		v, err := history.OpenPayload(b)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return slices.Clip(out), nil
}
