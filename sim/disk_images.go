// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"math/rand/v2"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/storage"
)

// errOtherEngine refuses a copy that another kind of engine made.
var errOtherEngine = errors.New("sim: no copy that this engine can take")

// images is the medium of EngineDisk.
type images struct {
	disk  *Disk
	parts [parts]*image // guarded by the disk's mutex
}

var _ medium = (*images)(nil)

func (m *images) open(h *hold, g *gate, _ *zap.Logger) (data, control storage.Engine, err error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	var handles [parts]*engine
	for p := range parts {
		m.parts[p].replay(m.disk.rewrite)
		handles[p] = &engine{disk: m.disk, part: p, gate: g, hold: h, image: m.parts[p]}
	}
	return handles[Data], handles[Control], nil
}

func (m *images) cut() {}

func (m *images) release() error { return nil }

func (m *images) losePower(rng *rand.Rand) (lost int64) {
	for _, part := range m.parts {
		lost += part.losePower(rng)
	}
	return lost
}

func (m *images) wipe() error {
	m.parts = [parts]*image{newImage(), newImage()}
	return nil
}

func (m *images) copied() *Copy {
	c := &Copy{}
	for p, part := range m.parts {
		c.images[p] = part.copied()
	}
	return c
}

func (m *images) restore(c *Copy) error {
	if c.images[Data] == nil {
		return errOtherEngine
	}
	for p, part := range c.images {
		m.parts[p] = part.copied()
	}
	return nil
}

func (m *images) used() int64 {
	return m.parts[Data].content.Bytes() + m.parts[Control].content.Bytes()
}

func (m *images) flip(p Part, rng *rand.Rand) (key string, done bool) {
	return m.parts[p].flip(rng)
}

func (m *images) close() error { return nil }
