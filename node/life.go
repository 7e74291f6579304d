// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// readLife reads which life of its node's store this directory holds, and what the node has
// promised. A directory of a release that did not note its life learns it when the group
// accepts it next.
func (o *opening) readLife() error {
	record, found, err := o.control.Get(wire.KeyLife)
	if err == nil && found {
		o.born, err = wire.DecodeLifeRecord(record)
	}
	if err != nil {
		return fmt.Errorf("node: read the life of the store: %w", err)
	}
	o.life, o.past.Filling = o.born, o.born.Filling
	record, found, err = o.control.Get(wire.KeyFences)
	if err == nil && found {
		o.past.Fences, err = wire.DecodeFencesRecord(record)
	}
	if err != nil {
		return fmt.Errorf("node: read fences: %w", err)
	}
	return nil
}

// keepFences makes what the node has promised durable: it is loaded before the next life of
// the process serves anything (TRAPS T5).
func (o *opening) keepFences(fences []wire.PlacementFence) error {
	if err := o.control.Put(wire.KeyFences, wire.AppendFencesRecord(nil, fences)); err != nil {
		return fmt.Errorf("node: keep fences: %w", err)
	}
	return nil
}

// accepted takes in that the group has accepted this opening, as that of the store's life of
// this instance, 0 where it does not tell. Of another one than this store's it is no
// acceptance.
func (o *opening) accepted(instance kv.Instance) bool {
	if o.life.Instance == 0 {
		o.life.Instance = instance
	}
	return instance == 0 || instance == o.life.Instance
}

// superseded reports whether the ring names a newer life of this node's store: it was
// called lost, and another directory stands in its place (docs/adr/0022).
func (n *Node) superseded(m *membership) bool {
	current, own := n.ringOf(), m.opening.life.Instance
	return current != nil && own != 0 && current.Instance(m.identity.Node) > own
}
