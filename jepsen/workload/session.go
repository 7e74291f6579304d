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
	node    int // that is asked; 0: any
	// known is the newest context of each key, with all that it came from.
	known map[string]knowledge
	// parts are the session's own parts of counters, with all that may have been written.
	parts map[string]part
	// ends is by when the newest of its values on a key that do not stay is gone.
	ends map[string]int64
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
		known: make(map[string]knowledge), parts: make(map[string]part), ends: make(map[string]int64),
	}
}

// Run does n steps that w draws, or fewer if ctx ends. An error is one of the run, not of
// the store: what the store refuses is in the history.
func Run(ctx context.Context, s *Session, w Workload, rng *rand.Rand, n int) error {
	for range n {
		step := w.Next(rng)
		select {
		case <-time.After(s.Pause(&step)):
		case <-ctx.Done():
			return nil
		}
		if err := s.Do(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// Pause is how long to wait before a step.
func (s *Session) Pause(step *Step) time.Duration {
	if step.Near {
		left := time.Duration(s.ends[step.Key] - s.now())
		if left += step.Pause%(2*time.Millisecond) - time.Millisecond; left > 0 {
			return left
		}
	}
	return step.Pause
}

// Do does one step. An error is one of the run: the operation can not be recorded, or it
// shows what nobody has written.
func (s *Session) Do(ctx context.Context, step Step) error {
	op := history.Op{
		Process: s.process, Kind: step.Kind, Key: step.Key, Final: step.Final,
		R: step.Levels.R, W: step.Levels.W, PR: step.Levels.PR, PW: step.Levels.PW,
		Atomic: step.Atomic, TTL: int64(step.TTL), Delta: step.Delta, Invoked: s.now(),
	}
	if step.Node > 0 {
		s.node = step.Node
	}
	op.Pinned = s.node > 0
	var err error
	switch step.Kind {
	case history.Get, history.Members, history.Total:
		err = s.read(ctx, &op, &step)
	case history.Put, history.Delete:
		err = s.write(ctx, &op, &step)
	case history.Add:
		err = s.add(ctx, &op, &step)
	case history.Increment:
		err = s.increment(ctx, &op, &step)
	default:
		return fmt.Errorf("workload: no step is a %s", step.Kind)
	}
	if err != nil {
		return fmt.Errorf("workload: %s, served by %q: %w", &op, op.Node, err)
	}
	op.Completed = s.now()
	if op.TTL > 0 && op.Outcome == history.OK {
		s.ends[step.Key] = op.Completed + op.TTL
	}
	return s.record.Op(&op)
}

// get asks for a key, and reports whether there is an answer.
func (s *Session) get(ctx context.Context, op *history.Op, step *Step) (Answer, bool) {
	r := Request{
		Key: step.Key, Levels: step.Levels.of(history.Get), Node: s.node, Atomic: step.Atomic,
	}
	got := s.store.Get(ctx, &r)
	tell(op, &got)
	if op.Outcome != history.OK {
		op.Outcome = history.Fail // nothing was written
	}
	return got, op.Outcome == history.OK
}

// read does a Get, Members or Total.
func (s *Session) read(ctx context.Context, op *history.Op, step *Step) error {
	got, ok := s.get(ctx, op, step)
	if !ok {
		return nil
	}
	var err error
	switch op.Kind {
	case history.Members:
		op.Read, err = joinSets(got.Values)
		return err
	case history.Total:
		var parts []part
		if parts, err = mergeParts(got.Values); err == nil {
			op.Total, err = sumOf(parts)
		}
		return err
	}
	op.Read, err = openAll(got.Values)
	s.known[step.Key] = knowledge{got.Context, op.Read}
	return err
}

// write does a Put or a Delete, with what the session knows of the key or without.
func (s *Session) write(ctx context.Context, op *history.Op, step *Step) error {
	op.Value = s.value()
	r := Request{
		Key: step.Key, Levels: step.Levels, Node: s.node, Siblings: step.Siblings, TTL: step.TTL,
	}
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
	got, ok := s.get(ctx, op, step)
	if !ok {
		return nil
	}
	elements, err := joinSets(got.Values)
	if err != nil {
		return err
	}
	if len(elements) >= history.MaxValues {
		return fmt.Errorf("%w: the set is full", history.ErrTooLong)
	}
	s.replace(ctx, op, step, encodeSet(append(elements, op.Value)), got.Context)
	return nil
}

// increment reads the counter, and writes it with a larger part of the session's own in
// the place of what it read. The part holds every increment that may have been done, so
// that it never goes back: one of unknown outcome is done with the next at the latest.
func (s *Session) increment(ctx context.Context, op *history.Op, step *Step) error {
	got, ok := s.get(ctx, op, step)
	if !ok {
		return nil
	}
	parts, err := mergeParts(got.Values)
	if err != nil {
		return err
	}
	before := s.parts[step.Key]
	at, read := ownPart(parts, s.client)
	if read.by.Seq > before.by.Seq {
		return fmt.Errorf("%w: part %s was not written by its client", history.ErrValue, read.by)
	}
	if read.by.IsZero() {
		parts = slices.Insert(parts, at, read)
	}
	parts[at] = part{s.value(), before.total + step.Delta}
	s.parts[step.Key] = parts[at]
	s.replace(ctx, op, step, encodeParts(parts), got.Context)
	if op.Outcome == history.Fail {
		s.parts[step.Key] = part{parts[at].by, before.total}
	}
	return nil
}

// replace writes a value in the place of what a context covers.
func (s *Session) replace(
	ctx context.Context, op *history.Op, step *Step, value, over []byte,
) {
	got := s.store.Put(ctx, &Request{
		Key: step.Key, Levels: step.Levels.of(history.Put), Node: s.node, Context: over,
		Value: value,
	})
	tell(op, &got)
}

func (s *Session) value() history.Value {
	s.seq++
	return history.Value{Client: s.client, Seq: s.seq}
}

func tell(op *history.Op, a *Answer) {
	op.Outcome, op.Node, op.Error = a.Outcome, a.Node, a.Error
	op.Moved, op.Again = a.Moved, a.Again && op.Kind.Writes()
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
