// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// splitSize is the encoded size above which an object is a header record, which has no
// values, and one record for each value: a sibling that is added to a large object
// does not write the others again.
const splitSize = 64 << 10

// prepare turns a new object into the writes that store it.
func (s *Store) prepare(op *Op, before stored, next Next) (*change, error) {
	if !next.object.HasValues() {
		return nil, fmt.Errorf("%w: key %q", ErrIncomplete, op.Key)
	}
	if len(next.note) > maxNote {
		return nil, fmt.Errorf("%w: a note of %d bytes, at most %d",
			ErrTooBig, len(next.note), maxNote)
	}
	c := &change{op: op, note: next.note, bytes: len(next.note)}
	c.next.current = Current{Object: next.object, State: StatePresent, Full: true}
	var err error
	if next.object.Size() <= splitSize {
		c.writes = s.wholeWrites(c, next.encoded)
	} else {
		c.next.split = true
		c.writes = s.splitWrites(op, before, next.object)
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

// wholeWrites stores an object as one record.
func (s *Store) wholeWrites(c *change, encoded []byte) []Write {
	record := sealObject(c.op.turn.at.record, c.next.current.Object, encoded)
	c.next.current.Encoded = record.payload
	return []Write{{Key: c.op.turn.at.record, Value: record.bytes}}
}

// splitWrites stores an object as records of the values that are new, then the header.
func (s *Store) splitWrites(op *Op, before stored, object kv.Object) []Write {
	writes := make([]Write, 0, len(object.Versions)+1)
	for _, v := range object.Versions {
		if v.Size == 0 || before.hasRecord(v) {
			continue
		}
		key := versionKey(op.Partition, op.Bucket, op.Key, v.Dot)
		writes = append(writes, Write{Key: key, Value: seal(key, v.Value)})
	}
	header := sealHeader(op.turn.at.record, object)
	return append(writes, Write{Key: op.turn.at.record, Value: header})
}

// hasRecord reports whether the value of v stands in a record of its own already.
func (s stored) hasRecord(v kv.Version) bool {
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
			key := versionKey(op.Partition, op.Bucket, op.Key, v.Dot)
			c.writes = append(c.writes, Write{Key: key, Delete: true})
		}
	}
	return c.writes, nil
}

// dropUnknown deletes the records of values that an unreadable object may have left.
func (s *Store) dropUnknown(c *change) ([]Write, error) {
	op := c.op
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	ts := c.op.turn.shard.overlay.readableAt()
	prefix := versionPrefix(op.Partition, op.Bucket, op.Key)
	err := s.engine.Iterate(ts, prefix, nil, func(key, _ []byte) bool {
		if dot, ok := versionDot(prefix, key); ok && !c.keeps(dot) {
			c.writes = append(c.writes, Write{Key: append([]byte{}, key...), Delete: true})
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("%w: list old versions of %q: %w", ErrUnreadable, op.Key, err)
	}
	return c.writes, nil
}

// keeps reports whether the value of a dot has its own record after the change.
func (c *change) keeps(d vclock.Dot) bool {
	if !c.next.split {
		return false
	}
	v, found := c.next.current.Object.Find(d)
	return found && v.Size > 0
}
