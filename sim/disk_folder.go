// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"os"
)

var errEnginesOpen = errors.New("sim: the directory is given back, and its engines are open")

// cut leaves the directory to the dead process, and gives the next one a copy of it.
func (m *folder) cut() {
	if !m.inMemory() && m.name != "" {
		name := m.next("life")
		m.fault(snapshot(m.name, name))
		m.name = name
	}
	t := m.tenant
	if t == nil {
		return // it was about to open the engines, and sees to them itself
	}
	m.tenant, t.dead = nil, true
	for _, e := range t.engines {
		m.endIfOver(e)
	}
	m.buryIfOver(t)
}

// endIfOver closes the engine of a dead process as soon as nothing calls it any more.
func (m *folder) endIfOver(e *badgerEngine) {
	if !e.tenant.dead || e.calls > 0 || e.closed {
		return
	}
	e.closed = true
	m.closing.Go(func() { m.ended(e, e.inner.Close()) })
}

// ended is told that an engine has been closed.
func (m *folder) ended(e *badgerEngine, err error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if e.tenant.dead {
		m.fault(err)
	}
	e.tenant.open--
	m.buryIfOver(e.tenant)
}

// buryIfOver removes the directory of a dead process that has closed its engines.
func (m *folder) buryIfOver(t *tenant) {
	if !t.dead || t.open > 0 || t.dir == nil {
		return
	}
	m.fault(errors.Join(t.leave(), os.RemoveAll(t.path)))
}

func (m *folder) release() error {
	t := m.tenant
	if t.open > 0 {
		return errEnginesOpen
	}
	m.tenant = nil
	return t.leave()
}

func (m *folder) wipe() error {
	m.index.reset()
	return m.drop()
}

// drop removes the present directory.
func (m *folder) drop() error {
	if m.name == "" {
		return nil
	}
	name := m.name
	m.name = ""
	if err := os.RemoveAll(name); err != nil {
		return fmt.Errorf("sim: remove a directory: %w", err)
	}
	return nil
}

// folderCopy is a copy of a folder's directory.
type folderCopy struct {
	name  string // empty where there was none
	index index
	err   error // why there is no copy
}

func (m *folder) copied() *Copy {
	if m.inMemory() {
		return &Copy{}
	}
	c := &folderCopy{index: m.index.copied()}
	if m.name != "" {
		c.name = m.next("copy")
		c.err = snapshot(m.name, c.name)
	}
	return &Copy{folder: c}
}

func (m *folder) restore(c *Copy) error {
	switch {
	case c.folder == nil || m.inMemory():
		return errOtherEngine
	case c.folder.err != nil:
		return c.folder.err
	}
	if err := m.drop(); err != nil {
		return err
	}
	m.index = c.folder.index.copied()
	if c.folder.name == "" {
		return nil
	}
	m.name = m.next("life")
	return snapshot(c.folder.name, m.name)
}

// close waits for the engines of dead processes, and removes everything.
func (m *folder) close() error {
	m.closing.Wait()
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if m.disk.hold != nil {
		return fmt.Errorf("%w: close", errInUse)
	}
	if m.inMemory() {
		return m.broken
	}
	m.name = ""
	return errors.Join(m.broken, os.RemoveAll(m.cfg.Dir))
}
