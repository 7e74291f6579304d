// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// splitSize is the encoded size above which an object is a header record, which has no
// values, and one record for each value: a sibling that is added to a large object
// does not write the others again.
const splitSize = 64 << 10

// prepare turns a new object into the writes that store it.
func (s *Store) prepare(op *Op, before stored, next Next) (*change, error) {
	if next.kind == nextRemove {
		return s.prepareRemoval(op, before)
	}
	if !next.object.HasValues() {
		return nil, fmt.Errorf("%w: key %q", ErrIncomplete, op.Key)
	}
	c := &change{op: op, note: next.note, stamp: next.stamp}
	if next.note != nil {
		c.bytes = noteSize
	}
	c.next.current = Current{Object: next.object, State: StatePresent, Full: true}
	var err error
	if next.object.Size() <= splitSize {
		c.writes = s.wholeWrites(c, next.encoded)
	} else {
		c.next.split = true
		c.writes = s.splitWrites(op, before, &c.next.current.Object)
	}
	if c.writes, err = s.dropStale(c, before); err != nil {
		return nil, err
	}
	most := s.engine.Limits().Value
	for _, w := range c.writes {
		c.bytes += w.size()
		if len(w.Value) > most {
			return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooBig, len(w.Value), most)
		}
	}
	return c, nil
}

// prepareRemoval turns an object into the deletions that take it away. Its own record goes
// last: as long as that is there, a removal that was cut off can be repeated.
func (s *Store) prepareRemoval(op *Op, before stored) (*change, error) {
	c := &change{op: op}
	c.next.current = Current{State: StateAbsent, Full: true}
	var err error
	if c.writes, err = s.dropStale(c, before); err != nil {
		return nil, err
	}
	c.writes = append(c.writes, Write{Key: op.turn.at.record, Delete: true})
	for _, w := range c.writes {
		c.bytes += w.size()
	}
	return c, nil
}

// wholeWrites stores an object as one record.
func (s *Store) wholeWrites(c *change, encoded []byte) []Write {
	at, object := c.op.turn.at, &c.next.current.Object
	var record []byte
	if encoded != nil {
		record = make([]byte, 0, wire.RecordOverhead+len(encoded))
		record = wire.AppendRecord(record, wire.FormatObject, at.record, encoded)
	} else {
		record = make([]byte, 0, recordSize(object))
		record = wire.AppendObjectRecord(record, at.record, object)
	}
	c.next.current.Encoded = record[wire.RecordOverhead:]
	c.single[0] = Write{Key: at.record, Value: record}
	return c.single[:]
}

// recordSize is at least the size of an object's record, about.
func recordSize(o *kv.Object) int {
	const head, perVersion = 32, 16 // beyond what Size counts
	return wire.RecordOverhead + head + o.Size() + perVersion*len(o.Versions)
}

// splitWrites stores an object as records of the values that are new, then the header.
func (s *Store) splitWrites(op *Op, before stored, object *kv.Object) []Write {
	writes := make([]Write, 0, len(object.Versions)+1)
	for i := range object.Versions {
		v := &object.Versions[i]
		if v.Size == 0 || before.hasRecord(v) {
			continue
		}
		key := op.turn.at.versionKey(v.Dot)
		record := make([]byte, 0, wire.RecordOverhead+len(v.Value)+128)
		writes = append(writes, Write{Key: key, Value: wire.AppendVersionRecord(record, key, v)})
	}
	header := wire.AppendHeaderRecord(nil, op.turn.at.record, object)
	return append(writes, Write{Key: op.turn.at.record, Value: header})
}

// hasRecord reports whether the value of v stands in a record of its own already.
func (s stored) hasRecord(v *kv.Version) bool {
	if !s.split {
		return false
	}
	twin, found := s.current.Object.Find(v.Dot)
	return found && twin.Checksum == v.Checksum && twin.Size == v.Size
}

// dropStale deletes the records of values that the object has no longer.
func (s *Store) dropStale(c *change, before stored) ([]Write, error) {
	op := c.op
	if before.current.State == StateUnreadable {
		return s.dropUnknown(c)
	}
	if !before.split {
		return c.writes, nil
	}
	for _, v := range before.current.Object.Versions {
		if v.Size > 0 && !c.keeps(v.Dot) {
			c.writes = append(c.writes, Write{Key: op.turn.at.versionKey(v.Dot), Delete: true})
		}
	}
	return c.writes, nil
}

// dropUnknown deletes the records of values that an unreadable object may have left.
func (s *Store) dropUnknown(c *change) ([]Write, error) {
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	at := c.op.turn.at
	ts := c.op.turn.shard.overlay.readableAt()
	any := at.versionKey(vclock.Dot{})
	prefix := any[:len(any)-dotSize]
	err := s.engine.Iterate(ts, prefix, nil, func(key, _ []byte) bool {
		// Longer keys that begin with this one have records here too.
		if len(key) != len(any) {
			return true
		}
		if dot, err := at.space.parseVersionKey(key); err != nil || !c.keeps(dot) {
			c.writes = append(c.writes, Write{Key: bytes.Clone(key), Delete: true})
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("%w: list old versions of %q: %w", ErrUnreadable, at.key, err)
	}
	return c.writes, nil
}

// dotSize is what the dot takes at the end of a version's key.
const dotSize = 16

// keeps reports whether the value of a dot has its own record after the change.
func (c *change) keeps(d vclock.Dot) bool {
	if !c.next.split {
		return false
	}
	v, found := c.next.current.Object.Find(d)
	return found && v.Size > 0
}
