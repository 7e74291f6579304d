// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"sync"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// form is how m comes into a cluster whose nodes run their group: the first founds it.
func (m *member) form() Formation {
	r := m.rig
	f := Formation{Addresses: addressesOf(m.Member), Expect: len(r.members), Replicas: 3}
	f.Partitions, f.Bootstrap = 16, m == r.members[0]
	if !f.Bootstrap {
		f.Join = []string{r.members[0].Client}
	}
	return f
}

// groupInMemory is a metadata group that remembers openings, and can be out of reach.
type groupInMemory struct {
	ring    *ring.Ring
	buckets []kv.Bucket

	mu    sync.Mutex
	opens map[kv.NodeID]kv.Open
	mood  groupMood
	asked int
	// began and purged are the epochs of purge rounds by partition.
	began, purged map[uint16]kv.PurgeEpoch
}

type groupMood uint8

const (
	groupAnswers groupMood = iota
	groupFails             // at once
	groupHangs             // until whoever asks gives up
	groupMute              // remembers what it is told, and its answer is lost
)

var (
	_ Group = (*groupInMemory)(nil)

	errNoGroup = errors.New("the group is out of reach")
)

func (g *groupInMemory) Ring() *ring.Ring     { return g.ring }
func (g *groupInMemory) Buckets() []kv.Bucket { return g.buckets }

func (g *groupInMemory) become(m groupMood) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mood = m
}

// reach fails in the group's present mood.
func (g *groupInMemory) reach(ctx context.Context) error {
	g.mu.Lock()
	g.asked++
	mood := g.mood
	g.mu.Unlock()
	switch mood {
	case groupFails:
		return errNoGroup
	case groupHangs:
		<-ctx.Done()
		return context.Cause(ctx)
	default:
		return nil
	}
}

func (g *groupInMemory) LastOpen(ctx context.Context, id kv.NodeID) (kv.Open, error) {
	if err := g.reach(ctx); err != nil {
		return kv.Open{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opens[id], nil
}

func (g *groupInMemory) ConfirmOpen(ctx context.Context, id kv.NodeID, opens []kv.Open) (
	kv.Verdict, kv.Instance, error,
) {
	if err := g.reach(ctx); err != nil {
		return kv.VerdictUnknown, 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	verdict := kv.JudgeOpens(g.opens[id], opens)
	if verdict == kv.VerdictConfirmed {
		g.opens[id] = opens[len(opens)-1]
	}
	if g.mood == groupMute {
		return kv.VerdictUnknown, 0, errNoGroup
	}
	return verdict, g.Ring().Instance(id), nil
}

// Watch implements node.Group: nothing ever changes.
func (g *groupInMemory) Watch() (<-chan struct{}, func()) { return nil, func() {} }

// Missing implements node.Group: nothing is.
func (g *groupInMemory) Missing() string { return "" }

// Accepted implements node.Group.
func (g *groupInMemory) Accepted(id kv.NodeID) kv.Open {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opens[id]
}
