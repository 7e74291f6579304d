// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/wire"
)

// Control keeps the few small records that tell what the store is: identity, opens,
// clean marks. They are records of package wire, envelope included, under the keys for
// which they were sealed. Control stands on an engine of its own, so that a fault in
// the data does not reach it. Every change is durable when its method returns. Its
// methods may be called at the same time; they follow one another.
type Control struct {
	engine Engine
	log    *zap.Logger
	turn   chan struct{} // holds one token; who has it may write
	ts     uint64        // of the newest commit; owned by who has the token

	reads   generations
	durable atomic.Uint64
	failure atomic.Pointer[error]
}

// ControlRecord is one change of a control record; without a Record it deletes it.
type ControlRecord struct {
	Key    string
	Record []byte
}

// OpenControl returns the control records on engine, which it owns from now on.
func OpenControl(engine Engine, log *zap.Logger) *Control {
	c := &Control{
		engine: engine, log: log, ts: engine.MaxVersion(), turn: make(chan struct{}, 1),
	}
	c.durable.Store(c.ts)
	c.reads.start.Store(c.ts)
	c.turn <- struct{}{}
	return c
}

// Get returns a record, which belongs to the caller. One that is there and damaged has
// ErrUnreadable in the chain of its error.
func (c *Control) Get(key string) (record []byte, found bool, err error) {
	if err := c.failed(); err != nil {
		return nil, false, err
	}
	generation := c.reads.enter()
	defer c.reads.leave(generation)
	record, found, err = c.engine.Get([]byte(key), c.durable.Load())
	if err != nil {
		return nil, false, fmt.Errorf("%w: control record %s: %w", ErrUnreadable, key, err)
	}
	if !found {
		return nil, false, nil
	}
	if _, _, err = wire.OpenRecord([]byte(key), record); err != nil {
		return nil, false, fmt.Errorf("%w: control record %s: %w", ErrUnreadable, key, err)
	}
	return record, true, nil
}

// Each shows the records whose keys begin with prefix, in the order of their keys, until
// visit fails: then it returns that error. key and record are lent for the call, in which
// the store must not be changed. A damaged record has ErrUnreadable in the chain of the
// error.
func (c *Control) Each(prefix string, visit func(key string, record []byte) error) error {
	if err := c.failed(); err != nil {
		return err
	}
	generation := c.reads.enter()
	defer c.reads.leave(generation)
	var stop error
	err := c.engine.Iterate(c.durable.Load(), []byte(prefix), []byte(prefix),
		func(key, record []byte) bool {
			if _, _, err := wire.OpenRecord(key, record); err != nil {
				stop = fmt.Errorf("%w: control record %s: %w", ErrUnreadable, key, err)
			} else {
				stop = visit(string(key), record)
			}
			return stop == nil
		})
	if err != nil {
		return fmt.Errorf("%w: control records %s: %w", ErrUnreadable, prefix, err)
	}
	return stop
}

// Room is how much one Apply may change: bytes of keys and records, each change counted
// with 48 bytes more, and changes.
func (c *Control) Room() (bytes, changes int) {
	l := c.engine.Limits()
	return min(l.Bytes, l.Value), l.Count
}

// Put sets a record. It refuses what is no record of that key.
func (c *Control) Put(key string, record []byte) error {
	return c.Apply(ControlRecord{Key: key, Record: record})
}

// Delete removes a record.
func (c *Control) Delete(key string) error { return c.Apply(ControlRecord{Key: key}) }

// Apply makes all changes in one synced transaction. Where it refuses a record nothing
// has happened; after any other error it is unknown whether the changes were made, and
// every later call fails with ErrFailed.
func (c *Control) Apply(records ...ControlRecord) error {
	writes := make([]Write, 0, len(records))
	for _, r := range records {
		if _, _, err := wire.OpenRecord([]byte(r.Key), r.Record); len(r.Record) > 0 && err != nil {
			return fmt.Errorf("storage: control record %s: %w", r.Key, err)
		}
		writes = append(writes, Write{
			Key: []byte(r.Key), Value: r.Record, Delete: len(r.Record) == 0,
		})
	}
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	if err := c.failed(); err != nil {
		return err
	}
	if err := c.engine.Commit(c.ts+1, writes); err != nil {
		err = fmt.Errorf("%w: control records: %w", ErrFailed, err)
		c.failure.Store(&err)
		c.log.Error("control store stops", zap.Error(err))
		return err
	}
	c.ts++
	c.durable.Store(c.ts)
	return nil
}

// Tend looks after the engine and lets it drop what was overwritten. Call it from time
// to time.
func (c *Control) Tend() error {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	if err := c.failed(); err != nil {
		return err
	}
	if err := c.engine.Tend(); err != nil {
		err = fmt.Errorf("%w: control records: %w", ErrFailed, err)
		c.failure.Store(&err)
		return err
	}
	if discard, moved := c.reads.advance(c.ts); moved {
		c.engine.SetDiscard(discard)
	}
	return nil
}

// Close ends the engine. Nothing else may be under way.
func (c *Control) Close() error { return c.engine.Close() }

func (c *Control) failed() error {
	if err := c.failure.Load(); err != nil {
		return *err
	}
	return nil
}
