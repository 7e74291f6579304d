// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"
)

// Control keeps the few small records that tell what the store is: identity, opens,
// incarnations, clean marks. It stands on an engine of its own, so that a fault in the
// data does not reach it. Every change is durable when its method returns. Its methods
// may be called at the same time; they follow one another.
type Control struct {
	engine Engine
	log    *zap.Logger
	turn   chan struct{} // holds one token; who has it may write
	ts     uint64        // of the newest commit; owned by who has the token

	reads   generations
	durable atomic.Uint64
	failure atomic.Pointer[error]
}

// ControlRecord is one change of a control record; a nil Value deletes it.
type ControlRecord struct {
	Key   string
	Value []byte
}

// OpenControl returns the control records on engine, which it owns from now on.
func OpenControl(engine Engine, log *zap.Logger) *Control {
	c := &Control{
		engine: engine, log: log, ts: engine.MaxVersion(), turn: make(chan struct{}, 1),
	}
	c.durable.Store(c.ts)
	c.reads.start = c.ts
	c.turn <- struct{}{}
	return c
}

// Get returns the value of a record, which belongs to the caller. A record that is
// there and damaged has ErrUnreadable in the chain of its error.
func (c *Control) Get(key string) (value []byte, found bool, err error) {
	if err := c.failed(); err != nil {
		return nil, false, err
	}
	generation := c.reads.enter()
	defer c.reads.leave(generation)
	name := controlKey(key)
	record, found, err := c.engine.Get(name, c.durable.Load())
	if err != nil {
		return nil, false, fmt.Errorf("%w: control record %s: %w", ErrUnreadable, key, err)
	}
	if !found {
		return nil, false, nil
	}
	if value, err = unseal(name, record); err != nil {
		return nil, false, fmt.Errorf("%w: control record %s: %w", ErrUnreadable, key, err)
	}
	return value, true, nil
}

// Put sets a record.
func (c *Control) Put(key string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return c.Apply(ControlRecord{Key: key, Value: value})
}

// Delete removes a record.
func (c *Control) Delete(key string) error { return c.Apply(ControlRecord{Key: key}) }

// Apply makes all changes in one synced transaction. After an error it is unknown
// whether they were made, and every later call fails with ErrFailed.
func (c *Control) Apply(records ...ControlRecord) error {
	writes := make([]Write, 0, len(records))
	for _, r := range records {
		w := Write{Key: controlKey(r.Key), Delete: r.Value == nil}
		if !w.Delete {
			w.Value = seal(w.Key, r.Value)
		}
		writes = append(writes, w)
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

// Each shows all records whose key begins with prefix, in order, until visit returns
// false. A damaged one has an error with ErrUnreadable in its chain.
func (c *Control) Each(prefix string, visit func(key string, value []byte, err error) bool) error {
	if err := c.failed(); err != nil {
		return err
	}
	generation := c.reads.enter()
	defer c.reads.leave(generation)
	scope := len(controlKey(""))
	return c.engine.Iterate(c.durable.Load(), controlKey(prefix), nil,
		func(name, record []byte) bool {
			value, err := unseal(name, record)
			if err != nil {
				err = fmt.Errorf("%w: control record %s: %w", ErrUnreadable, name[scope:], err)
			}
			return visit(string(name[scope:]), append([]byte{}, value...), err)
		})
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
