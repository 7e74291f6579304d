// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/ring"
)

// group stands in for the metadata group: a ring that does not change while it runs, the
// built-in bucket, and the openings, in a file.
type group struct {
	// Immutable after newGroup.
	dir     string
	ring    *ring.Ring
	buckets []kv.Bucket

	// turn holds one token; who has it may read and write file. It is a channel, since
	// writing waits for the disk.
	turn chan struct{}
	file *file
}

var _ node.Group = (*group)(nil)

func newGroup(dir string, f *file, r *ring.Ring) *group {
	g := &group{
		dir: dir, ring: r, file: f, turn: make(chan struct{}, 1),
		buckets: []kv.Bucket{kv.BuiltinBucket(r.Replicas())},
	}
	g.turn <- struct{}{}
	return g
}

// Ring implements node.Group.
func (g *group) Ring() *ring.Ring { return g.ring }

// Buckets implements node.Group.
func (g *group) Buckets() []kv.Bucket { return g.buckets }

// LastOpen implements node.Group.
func (g *group) LastOpen(ctx context.Context, id kv.NodeID) (kv.Open, error) {
	member, release, err := g.member(ctx, id)
	if err != nil {
		return kv.Open{}, err
	}
	defer release()
	return member.open()
}

// ConfirmOpen implements node.Group.
func (g *group) ConfirmOpen(ctx context.Context, id kv.NodeID, opens []kv.Open) (
	kv.Verdict, error,
) {
	member, release, err := g.member(ctx, id)
	if err != nil {
		return kv.VerdictUnknown, err
	}
	defer release()
	remembered, err := member.open()
	if err != nil {
		return kv.VerdictUnknown, err
	}
	verdict := kv.JudgeOpens(remembered, opens)
	if verdict != kv.VerdictConfirmed {
		return verdict, nil
	}
	before := *member
	member.setOpen(opens[len(opens)-1])
	if err := g.file.save(g.dir); err != nil {
		// Whichever of the two openings the disk has now, the store's list has both, since
		// it drops the older ones only once it hears that this one is confirmed. So it may
		// ask again, when there is room perhaps.
		*member = before
		return kv.VerdictUnknown, err
	}
	return verdict, nil
}

// member takes the turn and finds a member in the file; release gives the turn back.
func (g *group) member(ctx context.Context, id kv.NodeID) (*fileMember, func(), error) {
	select {
	case <-g.turn:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	release := func() { g.turn <- struct{}{} }
	for i := range g.file.Members {
		if g.file.Members[i].Number == id {
			return &g.file.Members[i], release, nil
		}
	}
	release()
	return nil, nil, fmt.Errorf("dev: no member has number %d", id)
}

// Watch implements node.Group: nothing ever changes.
func (g *group) Watch() (<-chan struct{}, func()) { return nil, func() {} }

// Missing implements node.Group: nothing is.
func (g *group) Missing() string { return "" }
