// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// viewVersion is that of the encoding of views, its first byte.
const viewVersion = 1

// AppendView appends a view as nodes keep and send it.
func AppendView(dst []byte, v *View) []byte {
	dst = append(dst, viewVersion)
	dst = append(dst, v.Cluster[:]...)
	dst = appendUint(dst, v.Index)
	dst = appendUint(dst, v.Generation)
	dst = appendUint(dst, v.Replicas)
	dst = appendUint(dst, v.Partitions)
	dst = appendUint(dst, v.Expect)
	dst = appendUint(dst, v.Registered)
	dst = appendUint(dst, v.Opened)
	dst = appendUint(dst, v.BucketsIssued)
	dst = appendUint(dst, len(v.Buckets))
	for _, b := range v.Buckets {
		dst = appendBucket(dst, b)
	}
	if v.Ring == nil {
		return appendUint(dst, uint64(0))
	}
	dst = appendUint(dst, v.Version)
	dst = appendUint(dst, len(v.Ring.Members()))
	for _, m := range v.Ring.Members() {
		dst = appendRingMember(dst, m)
	}
	for p := range v.Ring.Partitions() {
		dst = appendPlacement(dst, v.Ring.Placement(uint16(p)))
	}
	return dst
}

// DecodeView reads a view. The error wraps ErrUnknown or ErrDamaged.
func DecodeView(b []byte) (*View, error) {
	r := reader{b: b}
	if version := r.byte(); r.err == nil && version != viewVersion {
		return nil, fmt.Errorf("%w: a view of version %d", ErrUnknown, version)
	}
	v := &View{
		Cluster: r.id(), Index: r.uint(), Generation: r.generation(), Replicas: r.size(),
		Partitions: r.size(), Expect: r.size(), Registered: r.size(), Opened: r.size(),
		BucketsIssued: r.uint32(), Buckets: r.buckets(),
	}
	v.Version = r.uint()
	if v.Version != 0 {
		v.Ring = r.ring(v)
	}
	if err := r.finish("view"); err != nil {
		return nil, err
	}
	return v, nil
}

// ring reads the ring of a view.
func (r *reader) ring(v *View) *ring.Ring {
	s := ring.State{Cluster: v.Cluster, Version: v.Version, Replicas: v.Replicas}
	s.Members = make([]ring.Member, r.count(minRingMember))
	for i := range s.Members {
		s.Members[i] = r.ringMember()
		if i > 0 && s.Members[i-1].ID >= s.Members[i].ID {
			r.fail("members are out of order")
		}
	}
	s.Placements = r.placements(v.Partitions, v.Replicas)
	if r.err != nil {
		return nil
	}
	built, err := ring.New(s)
	if err != nil {
		r.fail("%w", err)
	}
	return built
}

func (r *reader) buckets() []kv.Bucket {
	n := r.count(minBucket)
	if n == 0 {
		return nil
	}
	buckets := make([]kv.Bucket, n)
	for i := range buckets {
		buckets[i] = r.bucket()
		if i > 0 && buckets[i-1].Name >= buckets[i].Name {
			r.fail("buckets are out of order")
		}
	}
	return buckets
}

func appendRingMember(dst []byte, m ring.Member) []byte {
	dst = appendUint(dst, m.ID)
	dst = appendBytes(dst, m.Name)
	dst = appendBytes(dst, m.Zone)
	dst = appendUint(dst, m.Weight)
	dst = appendUint(dst, m.Instance)
	return Addresses{m.Client, m.Peer, m.Gossip, m.Admin}.append(dst)
}

// minRingMember is the least that a member of a ring takes.
const minRingMember = 9

func (r *reader) ringMember() ring.Member {
	m := ring.Member{
		ID: r.node(), Name: r.text(), Zone: r.text(), Weight: r.uint32(),
		Instance: kv.Instance(r.uint()),
	}
	a := r.addresses()
	m.Client, m.Peer, m.Gossip, m.Admin = a.Client, a.Peer, a.Gossip, a.Admin
	return m
}

func appendPlacement(dst []byte, p ring.Placement) []byte {
	dst = appendUint(dst, p.Version)
	for _, slot := range p.Slots {
		dst = append(dst, byte(slot.Phase))
		dst = appendUint(dst, slot.Owner)
		if slot.Phase != kv.PhaseStable {
			dst = appendUint(dst, slot.Next)
		}
	}
	return dst
}

// minSlot is the least that a slot takes.
const minSlot = 2

// placements reads the placements of all partitions, whose number is known.
func (r *reader) placements(partitions, replicas int) []ring.Placement {
	if replicas < 1 || replicas > ring.MaxReplicas || partitions < 1 ||
		partitions > len(r.b)/(1+minSlot*replicas) {
		r.fail("%d partitions of %d replicas have %d bytes", partitions, replicas, len(r.b))
		return nil
	}
	placements := make([]ring.Placement, partitions)
	slots := make([]kv.Slot, partitions*replicas)
	for p := range placements {
		if r.err != nil {
			return nil
		}
		placements[p].Version = kv.PlacementVersion(r.uint())
		placements[p].Slots = slots[p*replicas : (p+1)*replicas : (p+1)*replicas]
		for j := range placements[p].Slots {
			slot := kv.Slot{Phase: kv.Phase(r.byte()), Owner: r.node()}
			if slot.Phase != kv.PhaseStable {
				slot.Next = r.node()
			}
			placements[p].Slots[j] = slot
		}
	}
	return placements
}
