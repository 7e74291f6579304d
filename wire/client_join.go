// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"math"

	"github.com/dyno-kv/dyno/kv"
)

// MaxOpens is how many openings of a store a message may list: those since the last one
// that was confirmed. A store that was opened more often without the group says so, and
// is judged by its newest.
const MaxOpens = 1024

// MaxWeight is the largest weight of a node: far more than any two machines differ by.
const MaxWeight = 1 << 20

// JoinRequest is cluster.join: a node asks to be a member of a cluster. Asked again with
// the same name it is answered with the same member.
type JoinRequest struct {
	Common
	Cluster   string // 32 hexadecimal digits; empty: whichever this is
	Name      string
	Zone      string
	Weight    uint32 // 1 to MaxWeight; 0 in what is encoded means 1
	Addresses Addresses
	// Expect is how many members make the first ring, Replicas how many of them hold
	// each key; 0: as the first member said.
	Expect, Replicas uint32
}

// AppendJoinRequest appends the params of cluster.join.
func AppendJoinRequest(dst []byte, q *JoinRequest) []byte {
	w := beginParams(dst)
	w.strIfSet(fieldCluster, q.Cluster)
	w.str(fieldName, q.Name)
	w.strIfSet(fieldZone, q.Zone)
	if q.Weight > 1 {
		w.uint(fieldWeight, uint64(q.Weight))
	}
	w.addresses(q.Addresses)
	w.uintIfSet(fieldExpect, uint64(q.Expect))
	w.uintIfSet(fieldReplicas, uint64(q.Replicas))
	w.common(q.Common)
	return w.end()
}

// DecodeJoinRequest reads the params of cluster.join.
func DecodeJoinRequest(params []byte, into *JoinRequest) error {
	*into = JoinRequest{Common: defaults(), Weight: 1}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldCluster:
			into.Cluster = q.text(MaxName)
		case fieldName:
			into.Name = q.lockName()
		case fieldZone:
			into.Zone = q.text(MaxName)
		case fieldWeight:
			if into.Weight = uint32(q.uint(MaxWeight)); into.Weight == 0 {
				q.fail(invalid(q.field, "must be 1 to %d", MaxWeight))
			}
		case fieldAddresses:
			into.Addresses = q.memberAddresses()
		case fieldExpect:
			into.Expect = uint32(q.uint(math.MaxUint16))
		case fieldReplicas:
			into.Replicas = uint32(q.uint(kv.MaxLevel))
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldName)
	q.require(fieldAddresses)
	return q.finish()
}

// memberAddresses reads a map inside a request, as strictly as the request itself.
func (q *request) memberAddresses() (a Addresses) {
	seen := map[field]bool{}
	for left := q.pairs(); left > 0 && q.err == nil; left-- {
		q.name = q.bytes(math.MaxInt32)
		if bytes.HasPrefix(q.name, []byte("x-")) {
			q.skip()
			continue
		}
		f := fieldOf(q.name)
		into := a.at(f)
		if into == nil {
			q.unknown()
			break
		}
		q.field = f.String()
		if seen[f] {
			q.fail(invalid(q.field, "occurs twice"))
		}
		seen[f] = true
		if !q.isNil() {
			*into = q.text(MaxName)
		}
	}
	return a
}

// at is where the address of a key belongs; nil for other keys.
func (a *Addresses) at(f field) *string {
	switch f {
	case fieldClient:
		return &a.Client
	case fieldPeer:
		return &a.Peer
	case fieldGossip:
		return &a.Gossip
	case fieldAdmin:
		return &a.Admin
	default:
		return nil
	}
}

// JoinResult answers cluster.join: who the new member is, and whom it may ask from here
// on.
type JoinResult struct {
	Cluster    string // 32 hexadecimal digits
	ID         kv.NodeID
	Instance   kv.Instance
	Generation kv.Generation
	Index      uint64 // of the group's log, at which the member was registered
	// Accepted: the group has accepted a store of that name before. A node whose own is
	// empty, or of another cluster, is not that member.
	Accepted bool
	Members  []GroupMember
}

// AppendJoinResult appends the result of cluster.join.
func AppendJoinResult(dst []byte, a *JoinResult) []byte {
	w := beginMap(dst)
	w.str(fieldCluster, a.Cluster)
	w.uint(fieldID, uint64(a.ID))
	w.uint(fieldInstance, uint64(a.Instance))
	w.uint(fieldGeneration, uint64(a.Generation))
	w.uint(fieldIndex, a.Index)
	w.boolIfSet(fieldAccepted, a.Accepted)
	w.groupMembers(a.Members)
	return w.end()
}

// DecodeJoinResult reads the result of cluster.join.
func DecodeJoinResult(result []byte, into *JoinResult) error {
	*into = JoinResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldCluster:
			into.Cluster = r.text(MaxName)
		case fieldID:
			into.ID = kv.NodeID(r.uint16())
		case fieldInstance:
			into.Instance = kv.Instance(r.uint64())
		case fieldGeneration:
			into.Generation = r.generation()
		case fieldIndex:
			into.Index = r.uint64()
		case fieldAccepted:
			into.Accepted = r.bool()
		case fieldMembers:
			into.Members = r.groupMembers()
		default:
			r.skip()
		}
	}
	return r.finish()
}
