// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/transfer"
	"github.com/dyno-kv/dyno/wire"
)

// refilling is what a filler knows of the group and of the directory.
type refilling struct {
	m       *membership
	control *storage.Control
}

var (
	_ transfer.Group = (*refilling)(nil)
	_ transfer.Notes = (*refilling)(nil)
)

// Refill implements transfer.Group.
func (r *refilling) Refill() (refill ring.Refill) {
	r.read(func(_ *state.State, m *state.Member) { refill = m.Refill })
	return refill
}

// read looks at the group's state, if this node's store is in it.
func (r *refilling) read(look func(*state.State, *state.Member)) {
	r.m.meta.Read(func(s *state.State) {
		if s == nil {
			return
		}
		if m, found := s.Member(r.m.identity.Node); found {
			look(s, &m)
		}
	})
}

// PurgeEpoch implements transfer.Group.
func (r *refilling) PurgeEpoch(p uint16) (epoch kv.PurgeEpoch) {
	r.read(func(s *state.State, _ *state.Member) { epoch = s.PurgeEpoch(p) })
	return epoch
}

// Missing implements transfer.Group.
func (r *refilling) Missing(sources []ring.Source) (missing []kv.NodeID) {
	r.read(func(s *state.State, m *state.Member) { missing = s.MissingSources(m.ID, sources) })
	return missing
}

// Finish implements transfer.Group.
func (r *refilling) Finish(
	ctx context.Context, fence kv.PlacementVersion, sources []ring.Source,
) error {
	result, err := r.m.meta.Do(ctx, state.FinishRefill{
		Node: r.m.identity.Node, Instance: r.m.opening.born.Instance,
		Open: r.m.opening.past.Present(), Fence: fence, Sources: sources,
	})
	if err == nil && result.Code != state.CodeOK {
		err = errors.New(strings.TrimPrefix(result.Detail, ring.ErrRefill.Error()+": "))
	}
	return err
}

// Load implements transfer.Notes.
func (r *refilling) Load() ([]wire.RefillSource, error) {
	record, found, err := r.control.Get(wire.KeyRefill)
	if err != nil || !found {
		return nil, err
	}
	return wire.DecodeRefillRecord(record)
}

// Save implements transfer.Notes.
func (r *refilling) Save(sources []wire.RefillSource) error {
	return r.control.Put(wire.KeyRefill, wire.AppendRefillRecord(nil, sources))
}

// fill fills the store, if its life has not been full yet, and hands the end to guard.
func (n *Node) fill(ctx context.Context, d *data) error {
	r := d.refilling
	if r == nil {
		return nil
	}
	m := r.m
	if !n.awaitLife(ctx, r, m.opening.born.Instance) {
		return nil
	}
	cfg := n.cfg.Transfer
	cfg.Node, cfg.Instance, cfg.Ring = d.member.ID, m.opening.born.Instance, m.group.Ring
	cfg.Buckets = m.group.Buckets
	f, err := transfer.New(cfg, transfer.Parts{
		Local: d.replica, Peers: d.peers, Group: r, Notes: r, Budget: n.background.budget,
	}, n.log.Named("transfer"))
	if err != nil {
		return err
	}
	d.filler.Store(f)
	full, err := f.Run(ctx)
	if err != nil || !full {
		return err
	}
	select {
	case n.filled <- struct{}{}:
	case <-ctx.Done():
	}
	return nil
}

// awaitLife waits until this node's copy of the group's state knows of the store's life:
// before that it says of an earlier one that it is not being filled. It reports false where
// that life is over, or ctx ended.
func (n *Node) awaitLife(ctx context.Context, r *refilling, life kv.Instance) bool {
	for {
		var known kv.Instance
		r.read(func(_ *state.State, m *state.Member) { known = m.Instance })
		if known >= life {
			return known == life
		}
		select {
		case <-time.After(n.cfg.ConfirmEvery):
		case <-ctx.Done():
			return false
		}
	}
}

// full makes it durable that the store's life is full, and has it serve.
func (n *Node) full(m *membership) error {
	m.opening.life.Filling = false
	life := m.opening.life
	// Before it is noted: the next process would know, and tell nobody.
	n.tellPhase(life.Instance, trace.PhaseFull)
	err := n.cfg.Points.Hit(PointFull)
	if err == nil {
		err = n.stores.Control.Apply(
			storage.ControlRecord{Key: wire.KeyLife, Record: wire.AppendLifeRecord(nil, &life)},
			storage.ControlRecord{Key: wire.KeyRefill},
		)
	}
	if err != nil {
		return fmt.Errorf("node: note that the store is full: %w", err)
	}
	n.data.Load().replica.Filled()
	n.judge(kv.VerdictConfirmed)
	return nil
}

// Fence implements transfer.Peers.
func (p *peers) Fence(
	node kv.NodeID, req *wire.FenceRequest, deadline time.Time, done func(wire.FenceReply, error),
) {
	ask(p, node, wire.MethodFence, deadline,
		func(dst []byte, _ uint16) []byte { return wire.AppendFenceRequest(dst, req) },
		wire.DecodeFenceReply, done)
}
