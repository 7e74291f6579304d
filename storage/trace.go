// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
)

// traceCommit tells what a commit made durable, as soon as it is: nobody can have been
// answered on the strength of it yet.
func (s *Store) traceCommit(ts uint64, changes []*change) {
	for _, c := range changes {
		switch {
		case len(c.writes) == 0:
		case c.next.current.State == StatePresent:
			s.traceDurable(c.op, ts, &c.next.current.Object)
		case c.op.Space == 0:
			s.cfg.Trace.Emit(trace.Event{
				Kind: trace.Removed, Bucket: uint32(c.op.Bucket), Partition: uint32(c.op.Partition),
				Key: c.op.Key, Value: ts, Counter: uint64(c.values),
			})
		}
	}
}

// traceDurable tells of an object that is durable. What a hint covers is told by whoever
// keeps it: hints come and go, so it is no part of what the node holds of the key.
func (s *Store) traceDurable(op *Op, ts uint64, o *kv.Object) {
	event := trace.Event{
		Kind: trace.Synced, Bucket: uint32(op.Bucket), Partition: uint32(op.Partition),
		Key: op.Key, Value: ts,
	}
	for _, v := range o.Versions {
		event.Actor, event.Counter = uint64(v.Dot.Actor), v.Dot.Counter
		s.cfg.Trace.Emit(event)
	}
	if op.Space != 0 {
		return
	}
	event.Kind, event.Actor, event.Counter = trace.Covered, 0, 0
	for d := range o.Context.Vector {
		event.Covers = append(event.Covers, trace.Dots{Actor: uint64(d.Actor), Counter: d.Counter})
	}
	for d := range o.Context.Dots {
		event.Covers = append(event.Covers,
			trace.Dots{Actor: uint64(d.Actor), Counter: d.Counter, Alone: true})
	}
	s.cfg.Trace.Emit(event)
}

// valuesOf counts the versions that are no tombstones.
func valuesOf(o *kv.Object) (values int) {
	for i := range o.Versions {
		if o.Versions[i].Kind == kv.KindValue {
			values++
		}
	}
	return values
}
