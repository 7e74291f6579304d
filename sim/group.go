// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"sync"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/ring"
)

// Mood is how the metadata group meets one host.
type Mood uint8

// The moods.
const (
	// GroupAnswers is what a healthy group does.
	GroupAnswers Mood = iota
	// GroupFails fails at once.
	GroupFails
	// GroupHangs is silent until whoever asks gives up.
	GroupHangs
	// GroupMute does what it is asked, and its answer is lost.
	GroupMute
)

var errNoGroup = errors.New("sim: the group is out of reach")

// group stands in for the metadata group: a ring that does not change, the built-in
// bucket, and the openings, which no fault takes: the group's own disks are not simulated.
type group struct {
	// Immutable.
	ring    *ring.Ring
	buckets []kv.Bucket

	mu    sync.Mutex // guards what follows
	opens map[kv.NodeID]kv.Open
}

func newGroup(r *ring.Ring) *group {
	return &group{
		ring: r, buckets: []kv.Bucket{kv.BuiltinBucket(r.Replicas())},
		opens: make(map[kv.NodeID]kv.Open),
	}
}

// reach is the group as one host's processes reach it.
type reach struct {
	group *group

	mu   sync.Mutex
	mood Mood // guarded by mu
}

var _ node.Group = (*reach)(nil)

// Ring implements node.Group.
func (r *reach) Ring() *ring.Ring { return r.group.ring }

// Buckets implements node.Group.
func (r *reach) Buckets() []kv.Bucket { return r.group.buckets }

// LastOpen implements node.Group.
func (r *reach) LastOpen(ctx context.Context, id kv.NodeID) (kv.Open, error) {
	mood, err := r.ask(ctx)
	if err != nil || mood == GroupMute {
		return kv.Open{}, errors.Join(errNoGroup, err)
	}
	r.group.mu.Lock()
	defer r.group.mu.Unlock()
	return r.group.opens[id], nil
}

// ConfirmOpen implements node.Group.
func (r *reach) ConfirmOpen(ctx context.Context, id kv.NodeID, opens []kv.Open) (
	kv.Verdict, kv.Instance, error,
) {
	mood, err := r.ask(ctx)
	if err != nil {
		return kv.VerdictUnknown, 0, err
	}
	verdict := r.group.judge(id, opens)
	if mood == GroupMute {
		return kv.VerdictUnknown, 0, errNoGroup
	}
	return verdict, r.group.ring.Instance(id), nil
}

func (g *group) judge(id kv.NodeID, opens []kv.Open) kv.Verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	verdict := kv.JudgeOpens(g.opens[id], opens)
	if verdict == kv.VerdictConfirmed {
		g.opens[id] = opens[len(opens)-1]
	}
	return verdict
}

func (r *reach) become(m Mood) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mood = m
}

// ask fails in the moods in which nothing reaches the group.
func (r *reach) ask(ctx context.Context) (Mood, error) {
	r.mu.Lock()
	mood := r.mood
	r.mu.Unlock()
	switch mood {
	case GroupFails:
		return mood, errNoGroup
	case GroupHangs:
		<-ctx.Done()
		return mood, context.Cause(ctx)
	default:
		return mood, nil
	}
}

// Watch implements node.Group: nothing ever changes.
func (r *reach) Watch() (<-chan struct{}, func()) { return nil, func() {} }

// Missing implements node.Group: nothing is.
func (r *reach) Missing() string { return "" }

// Accepted implements node.Group.
func (r *reach) Accepted(id kv.NodeID) kv.Open {
	r.group.mu.Lock()
	defer r.group.mu.Unlock()
	return r.group.opens[id]
}
