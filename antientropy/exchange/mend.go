// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// Keeper is this node's replica, in what concerns its own records.
type Keeper interface {
	// Scrub reads records of a partition again, after a place.
	Scrub(partition uint16, after wire.TreePlace, keys int) (replica.ScrubPage, error)
	// RebuildTree makes the partition's tree anew of the records, counts where it was another
	// one, and has the new one take its place.
	RebuildTree(ctx context.Context, partition uint16) error
	// Mend puts an object in the place of a record that can not be read.
	Mend(replica.StoreRequest)
}

// maxDamaged bounds the damaged keys that are known at a time; the scrub finds the others
// again. A disk that has more of them is to be replaced, not mended.
const maxDamaged = 1024

// damageKey names a key in a map.
type damageKey struct {
	partition uint16
	bucket    kv.BucketID
	key       string
}

// damage is a key whose record this node can not read.
type damage struct {
	partition uint16
	wire.TreePlace
	due    time.Time
	failed int // times in a row
}

// mends puts right what is wrong with this node's own records.
//
// When a record is damaged nobody knows what it held. Until it is mended this node neither
// answers for the key nor stores it, so that the owners that are left count without it. To
// mend it is to say "I hold the key again", and that is safe once this node is certain to
// hold all that it may ever have been counted for. What it has acknowledged, together with
// others, is with those others; hence the rule, of which every part is needed:
//
//   - All other owners have answered, by the newest placement, each a confirmed owner with
//     its store of the instance that the ring names, and all at one purge epoch; what they
//     hold is merged. A quorum of them is not enough: the one that is left out may be the
//     one that, together with this node, acknowledged a write (W = 2 of 3).
//   - They are asked only once the damage has been known for Quarantine: longer than any
//     client's request may take, from its arrival to the last send. A write that this node
//     had acknowledged before it was damaged has then reached the others it was counted
//     with, or was never counted: nothing is on its way any more that this node stands for,
//     and since it was known this node has acknowledged nothing of the key.
//
// Own dots of the record are lost with it: the incarnation ends as the object is stored.
// Where there is no other owner there is nobody to ask, and the record stays as it is.
type mends struct {
	// Immutable.
	cfg    *Config
	keeper Keeper
	peers  Peers
	log    *zap.Logger

	rand *rand.Rand // owned by the scrub

	mu     sync.Mutex // guards what follows; never held over a wait
	found  map[damageKey]*damage
	queue  []damageKey // in the order in which they were found
	scrubs ScrubStatus
}

func newMends(
	cfg *Config, keeper Keeper, peers Peers, source *rand.Rand, log *zap.Logger,
) *mends {
	return &mends{
		cfg: cfg, keeper: keeper, peers: peers, log: log, rand: source,
		found: make(map[damageKey]*damage),
	}
}

// add takes note of a damaged key. What is known already, or too many, changes nothing.
func (m *mends) add(partition uint16, at wire.TreePlace) {
	name := damageKey{partition, at.Bucket, string(at.Key)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.found[name] != nil || len(m.found) >= maxDamaged {
		return
	}
	at.Key = []byte(name.key)
	m.found[name] = &damage{
		partition: partition, TreePlace: at, due: time.Now().Add(m.cfg.Quarantine),
	}
	m.queue = append(m.queue, name)
}

// run mends and scrubs until ctx ends.
func (m *mends) run(ctx context.Context, e *Exchange) {
	var scrubbing sync.WaitGroup
	defer scrubbing.Wait()
	scrubbing.Go(func() { m.scrub(ctx, e.going) })
	every := time.NewTicker(m.cfg.Retry)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		for d := m.take(); d != nil && ctx.Err() == nil && e.beginMending() == nil; d = m.take() {
			m.done(d, m.mend(ctx, d))
			e.endMending()
		}
	}
}

// take returns a key whose time has come; nil where there is none.
func (m *mends) take() *damage {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, name := range m.queue {
		if d := m.found[name]; !now.Before(d.due) {
			return d
		}
	}
	return nil
}

// done takes note of how it went.
func (m *mends) done(d *damage, err error) {
	name := damageKey{d.partition, d.Bucket, string(d.Key)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		d.failed++
		d.due = time.Now().Add(min(m.cfg.Retry<<min(d.failed, 20), m.cfg.Period))
		if d.failed == 1 {
			m.log.Warn("damaged record not mended yet", zap.Uint16("partition", d.partition),
				zap.Binary("key", d.Key), zap.Error(err))
		}
		return
	}
	delete(m.found, name)
	for i := range m.queue {
		if m.queue[i] == name {
			m.queue = append(m.queue[:i], m.queue[i+1:]...)
			break
		}
	}
	m.scrubs.Mended++
	m.log.Info("damaged record mended", zap.Uint16("partition", d.partition),
		zap.Binary("key", d.Key))
}

// mend puts what all other owners hold of a key in the place of its record.
func (m *mends) mend(ctx context.Context, d *damage) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Longest)
	defer cancel()
	current := m.cfg.Ring()
	s := &session{
		cfg: m.cfg, partition: d.partition, placement: current.Placement(d.partition).Version,
	}
	merged, epoch, err := m.copies(ctx, s, current, d)
	if err != nil {
		return err
	}
	if err := m.cfg.Budget.Take(ctx, budget.Piece+len(d.Key)+merged.Size()); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, m.cfg.CallTimeout)
	defer cancel()
	self := sideOf(current, d.partition, m.cfg.Node, nil)
	reply, err := await(ctx, func(deadline time.Time, done func(wire.StoreReply, error)) {
		m.keeper.Mend(replica.StoreRequest{
			StoreRequest: &wire.StoreRequest{
				Target: s.target(ctx, self, &d.TreePlace), Role: kv.RoleOwner,
				Class: kv.ClassReplicated, Epoch: epoch, Object: merged,
			},
			Deadline: deadline, Done: func(reply wire.StoreReply) { done(reply, nil) },
		})
	})
	if err == nil {
		err = s.fit(self, &reply.Standing, reply.Code, reply.Detail)
	}
	return err
}

// copies merges what all other owners hold.
func (m *mends) copies(
	ctx context.Context, s *session, current *ring.Ring, d *damage,
) (merged kv.Object, epoch kv.PurgeEpoch, err error) {
	nodes := others(current, d.partition, m.cfg.Node)
	if len(nodes) == 0 {
		return merged, 0, notComparable("there is no other owner")
	}
	for i, node := range nodes {
		of := sideOf(current, d.partition, node, other{m.peers, node})
		if !m.cfg.Alive(node) {
			return merged, 0, notComparable("%s seems down", of.name)
		}
		reply, err := m.copyOf(ctx, s, of, d)
		if err != nil {
			return merged, 0, err
		}
		if i > 0 && reply.Epoch != epoch {
			return merged, 0, notComparable("%s is at purge epoch %d, another owner at %d",
				of.name, reply.Epoch, epoch)
		}
		epoch, merged = reply.Epoch, kv.Merge(merged, reply.Object)
	}
	if !merged.HasValues() {
		return merged, 0, fmt.Errorf("exchange: copies of a damaged key came without values")
	}
	return merged, epoch, nil
}

// copyOf asks one of the other owners.
func (m *mends) copyOf(
	ctx context.Context, s *session, of *side, d *damage,
) (wire.ReadReply, error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.CallTimeout)
	defer cancel()
	reply, err := of.read(ctx, &wire.ReadRequest{
		Target: s.target(ctx, of, &d.TreePlace), Mode: wire.ReadFull,
	})
	if err == nil {
		err = s.fit(of, &reply.Standing, reply.Code, reply.Detail)
	}
	return reply, err
}
