// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

// snapshotVersion is that of the encoding of states, its first byte. A state that means
// something else in its next entries has another one.
const snapshotVersion = 1

// Snapshot appends the whole state. Restore makes of it a state that goes on as s would.
// Equal states have equal bytes.
func (s *State) Snapshot(dst []byte) []byte {
	// What counts towards the table's size is more than its encoding takes, about twice.
	dst = slices.Grow(dst, s.locks.Counts().Size/2)
	dst = append(dst, snapshotVersion)
	dst = appendUint(dst, s.index)
	dst = appendUint(dst, s.term)
	dst = append(dst, s.cluster[:]...)
	for _, n := range [...]int{s.replicas, s.partitions, s.expect} {
		dst = appendUint(dst, n)
	}
	dst = appendUint(dst, s.version)
	dst = appendUint(dst, s.generation)
	dst = s.issued.append(dst)
	dst = appendUint(dst, s.viewIndex)
	dst = appendUint(dst, len(s.members))
	for _, m := range s.members {
		dst = appendOpens(appendOpens(appendMember(dst, m), m.accepted), m.refused)
	}
	dst = s.appendRing(dst)
	dst = appendUint(dst, len(s.plans))
	for _, p := range s.plans {
		dst = appendPlan(dst, p)
	}
	dst = s.answers.append(dst)
	return appendLocks(dst, s.locks)
}

// Restore reads a snapshot. The error wraps ErrUnknown or ErrDamaged.
func Restore(b []byte) (*State, error) {
	r := reader{b: b}
	if version := r.byte(); r.err == nil && version != snapshotVersion {
		return nil, fmt.Errorf("%w: a snapshot of version %d", ErrUnknown, version)
	}
	s := &State{
		index: r.uint(), term: r.uint(), cluster: r.id(), replicas: r.size(),
		partitions: r.size(), expect: r.size(), version: r.uint32(),
		generation: r.generation(),
	}
	if s.version > Version {
		return nil, fmt.Errorf("%w: the group uses version %d of its commands, this release "+
			"understands %d", ErrUnknown, s.version, Version)
	}
	s.issued = r.issued()
	s.viewIndex = r.uint()
	r.members(s)
	r.ringOf(s)
	s.plans = r.plans()
	s.answers = r.answers()
	data := r.locks()
	if err := r.finish("snapshot"); err != nil {
		return nil, err
	}
	return s, s.complete(data)
}

// complete builds what is not in a snapshot, and checks what the reader could not.
func (s *State) complete(data locks.Data) error {
	err := s.checkIssued()
	if err == nil {
		s.locks, err = locks.Import(data)
	}
	if err == nil {
		err = s.makeView()
	}
	if err != nil {
		return fmt.Errorf("%w: snapshot: %w", ErrDamaged, err)
	}
	return nil
}

// checkIssued checks that what exists was issued, or it would be issued again (I5).
func (s *State) checkIssued() error {
	if n := len(s.members); n > 0 && uint32(s.members[n-1].ID) > s.issued.node {
		return fmt.Errorf("node %d is above the last issued, %d", s.members[n-1].ID,
			s.issued.node)
	}
	for _, m := range s.members {
		_, instance := kv.SplitID(m.Instance)
		if raft := m.RaftLast.counter(); instance > s.issued.instance || raft > s.issued.raft {
			return fmt.Errorf("instance %d or raft id %v of node %d is above the last issued",
				m.Instance, m.RaftLast, m.ID)
		}
	}
	for _, b := range s.buckets {
		if _, counter := kv.SplitBucketID(b.ID); counter > s.issued.bucket {
			return fmt.Errorf("bucket %d is above the last issued", b.ID)
		}
	}
	for _, p := range s.plans {
		if _, counter := kv.SplitID(p.ID); counter > s.issued.plan {
			return fmt.Errorf("plan %d is above the last issued", p.ID)
		}
	}
	return nil
}

// The highest counters that kv.MakeID and kv.MakeBucketID take. None of them wraps around
// in a state that was restored.
const (
	maxCounter       = 1<<48 - 1
	maxBucketCounter = 1<<27 - 1
)

func (i issued) append(dst []byte) []byte {
	dst = appendUint(dst, i.node)
	dst = appendUint(dst, i.instance)
	dst = appendUint(dst, i.raft)
	dst = appendUint(dst, i.plan)
	return appendUint(dst, i.bucket)
}

func (r *reader) issued() issued {
	return issued{
		node: uint32(r.upTo(maxNodes)), instance: r.upTo(maxCounter),
		raft: r.upTo(maxRaftCounter), plan: r.upTo(maxCounter),
		bucket: uint32(r.upTo(maxBucketCounter)),
	}
}

// appendRing appends the ring, its epochs and the buckets: nothing before formation.
func (s *State) appendRing(dst []byte) []byte {
	dst = appendUint(dst, s.ringVersion)
	if !s.Formed() {
		return dst
	}
	for _, p := range s.placements {
		dst = appendPlacement(dst, p)
	}
	for p := range s.epochs {
		dst = appendUint(dst, s.epochs[p])
		dst = appendUint(dst, s.rounds[p])
	}
	dst = appendUint(dst, len(s.buckets))
	for _, b := range s.buckets {
		dst = appendBucket(dst, b)
	}
	return dst
}

func (r *reader) ringOf(s *State) {
	s.ringVersion = r.uint()
	if s.ringVersion == 0 {
		return
	}
	s.placements = r.placements(s.partitions, s.replicas)
	s.epochs = make([]kv.PurgeEpoch, len(s.placements))
	s.rounds = make([]kv.PurgeEpoch, len(s.placements))
	for p := range s.epochs {
		s.epochs[p], s.rounds[p] = kv.PurgeEpoch(r.uint()), kv.PurgeEpoch(r.uint())
		if s.epochs[p] > s.rounds[p] {
			r.fail("the purge epoch %d of partition %d was never issued", s.epochs[p], p)
		}
	}
	s.buckets = r.buckets()
}

func appendPlan(dst []byte, p Plan) []byte {
	dst = appendUint(dst, p.ID)
	dst = append(dst, p.Request[:]...)
	dst = appendUint(dst, p.Index)
	dst = appendUint(dst, len(p.Moves))
	for _, m := range p.Moves {
		dst = appendMove(dst, m.Move)
		dst = append(dst, byte(m.Step))
		dst = appendUint(dst, m.Since)
		dst = appendUint(dst, m.FromInstance)
		dst = appendUint(dst, m.ToInstance)
		dst = appendUint(dst, m.FromFence)
		dst = appendUint(dst, m.ToFence)
		dst = appendUint(dst, m.Synced.Instance)
		dst = appendUint(dst, m.Synced.OpenSeq)
	}
	return dst
}

const (
	minPlan     = 1 + sizeID + 2
	minProgress = minMove + 8
)

func (r *reader) plans() []Plan {
	plans := make([]Plan, r.count(minPlan))
	for i := range plans {
		p := Plan{ID: r.uint(), Request: r.id(), Index: r.uint()}
		p.Moves = make([]ring.Progress, r.count(minProgress))
		for j := range p.Moves {
			p.Moves[j] = ring.Progress{
				Move: r.move(), Step: ring.Step(r.byte()),
				Since:        kv.PlacementVersion(r.uint()),
				FromInstance: kv.Instance(r.uint()), ToInstance: kv.Instance(r.uint()),
				FromFence: kv.PlacementVersion(r.uint()), ToFence: kv.PlacementVersion(r.uint()),
				Synced: ring.Store{Instance: kv.Instance(r.uint()), OpenSeq: r.uint()},
			}
		}
		plans[i] = p
	}
	return plans
}

func (a *answers) append(dst []byte) []byte {
	dst = appendUint(dst, len(a.list))
	for _, n := range a.list {
		dst = append(dst, n.request[:]...)
		dst = append(dst, byte(n.kind), byte(n.code))
		dst = appendBytes(dst, n.detail)
		dst = appendUint(dst, n.id)
	}
	return dst
}

// minAnswer is the least that an answer takes.
const minAnswer = sizeID + 2 + 2

func (r *reader) answers() answers {
	var all answers
	n := r.count(minAnswer)
	if n > MaxAnswers {
		r.fail("%d answers are more than %d", n, MaxAnswers)
	}
	for i := 0; i < n && r.err == nil; i++ {
		all.add(answer{
			request: r.id(), kind: kind(r.byte()), code: Code(r.byte()), detail: r.text(),
			id: r.uint(),
		})
	}
	if len(all.byRequest) != len(all.list) {
		r.fail("two answers have one request id")
	}
	return all
}
