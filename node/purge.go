// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/antientropy/exchange"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/wire"
)

// DefaultPurgeGrace is how long tombstones are kept: a day in which an operator who has
// deleted too much can still read what there was from a node that was down.
const DefaultPurgeGrace = 24 * time.Hour

// openPurger connects what purges tombstones, where there is a group to agree in.
func (n *Node) openPurger(m *membership, d *data) error {
	group, able := m.group.(exchange.PurgeGroup)
	if !able || n.cfg.PurgeGrace < 0 {
		return nil
	}
	cfg := exchange.DefaultPurgeConfig(max(n.cfg.PurgeGrace, 2*n.cfg.Server.MaxTimeout))
	cfg.Node, cfg.Ring, cfg.Alive = d.member.ID, m.group.Ring, d.alive
	cfg.Budget = n.background.budget
	cfg.Expire = func(ctx context.Context, id kv.BucketID, key []byte, expired kv.Object) error {
		for _, bucket := range m.group.Buckets() {
			if bucket.ID == id {
				return d.coordinator.Expire(ctx, bucket, key, expired)
			}
		}
		return fmt.Errorf("node: bucket %d is not known here", id)
	}
	var err error
	d.purger, err = exchange.NewPurger(cfg, d.replica, d.peers, group, d.coordinator,
		n.log.Named("purge"))
	return err
}

// purges is what answers the steps of purge rounds; nil where nothing is purged.
func (d *data) purges() server.Purges {
	if d.purger == nil {
		return nil
	}
	return d.purger
}

// readPurges reads where the last life stood in purge rounds.
func (o *opening) readPurges() error {
	err := o.control.Each(wire.PrefixPurges, func(key string, record []byte) error {
		p, err := wire.DecodePurgesRecord(key, record)
		if err == nil {
			o.past.Purges = append(o.past.Purges, p)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("node: read purge rounds: %w", err)
	}
	return nil
}

// keepPurges makes durable where this node stands in the purge rounds of a partition.
func (o *opening) keepPurges(p wire.Purges) error {
	err := o.control.Put(wire.PurgesKey(p.Partition), wire.AppendPurgesRecord(nil, &p))
	if err != nil {
		return fmt.Errorf("node: write purge rounds: %w", err)
	}
	return nil
}

var _ exchange.PurgeGroup = (*metaGroup)(nil)

// errPurge: the group does not have it so.
var errPurge = errors.New("node: the group refuses a purge round")

// BeginPurge implements exchange.PurgeGroup.
func (g *metaGroup) BeginPurge(
	ctx context.Context, partition uint16, placement kv.PlacementVersion, after kv.PurgeEpoch,
) (kv.PurgeEpoch, error) {
	r, err := g.Do(ctx, state.PurgeEpoch{
		Request: g.request(), Partition: partition, Placement: placement, After: after,
	})
	if err == nil && r.Code != state.CodeOK {
		err = fmt.Errorf("%w: %s", errPurge, r.Detail)
	}
	return r.Epoch, err
}

// request draws the id of a command.
func (g *metaGroup) request() (id kv.RequestID) {
	binary.BigEndian.PutUint64(id[:], g.random48())
	binary.BigEndian.PutUint64(id[8:], g.random48())
	return id
}

// CommitPurge implements exchange.PurgeGroup.
func (g *metaGroup) CommitPurge(ctx context.Context, round antientropy.Round) error {
	r, err := g.Do(ctx, state.PurgeCommit{
		Partition: round.Partition, Placement: round.Placement, Epoch: round.Epoch,
	})
	if err == nil && r.Code != state.CodeOK {
		err = fmt.Errorf("%w: %s", errPurge, r.Detail)
	}
	return err
}

// Purged implements exchange.PurgeGroup.
func (g *metaGroup) Purged(partition uint16) (epoch kv.PurgeEpoch) {
	g.Read(func(s *state.State) {
		if s != nil {
			epoch = s.PurgeEpoch(partition)
		}
	})
	return epoch
}

// Registered implements exchange.PurgeGroup. Whoever has never opened a store has none that
// could hold anything.
func (g *metaGroup) Registered(ctx context.Context) ([]kv.NodeID, error) {
	if _, err := g.Barrier(ctx); err != nil {
		return nil, err
	}
	var nodes []kv.NodeID
	g.Read(func(s *state.State) {
		if s == nil {
			return
		}
		for _, m := range s.Members() {
			if !m.Left && m.Open != (kv.Open{}) {
				nodes = append(nodes, m.ID)
			}
		}
	})
	if len(nodes) == 0 {
		return nil, errNotRegistered
	}
	return nodes, nil
}
