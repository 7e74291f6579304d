// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// Addresses are where a member listens, as HOST:PORT; empty where it does not.
type Addresses struct {
	Client, Peer, Gossip, Admin string
}

func (w *mapWriter) addresses(a Addresses) {
	w.key(fieldAddresses)
	m := beginMap(w.dst)
	m.strIfSet(fieldClient, a.Client)
	m.strIfSet(fieldPeer, a.Peer)
	m.strIfSet(fieldGossip, a.Gossip)
	m.strIfSet(fieldAdmin, a.Admin)
	w.dst = m.end()
}

func (r *reader) addresses() (a Addresses) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldClient:
			a.Client = r.text(MaxName)
		case fieldPeer:
			a.Peer = r.text(MaxName)
		case fieldGossip:
			a.Gossip = r.text(MaxName)
		case fieldAdmin:
			a.Admin = r.text(MaxName)
		default:
			r.skip()
		}
	}
	return a
}

// Member is a node of the cluster, as the ring has it.
type Member struct {
	ID        kv.NodeID
	Name      string
	Zone      string
	Addresses Addresses
}

// minMember is the least that an encoded member takes: a map with its id, name and
// addresses.
const minMember = 1 + 3 + 1 + 5 + 1 + 10 + 1

func (w *mapWriter) member(m *Member) {
	w.uint(fieldID, uint64(m.ID))
	w.str(fieldName, m.Name)
	w.strIfSet(fieldZone, m.Zone)
	w.addresses(m.Addresses)
}

func (m *Member) read(r *reader, f field) bool {
	switch f {
	case fieldID:
		m.ID = kv.NodeID(r.uint16())
	case fieldName:
		m.Name = r.text(MaxName)
	case fieldZone:
		m.Zone = r.text(MaxName)
	case fieldAddresses:
		m.Addresses = r.addresses()
	default:
		return false
	}
	return true
}

// ClusterInfoResult answers cluster.info: all that a client needs to find the owners of
// a key by itself.
type ClusterInfoResult struct {
	Cluster     string // 32 hexadecimal digits
	RingVersion uint64
	Replicas    uint32
	Partitions  uint32
	HashSeed    uint64 // the first 8 bytes of the cluster id
	Members     []Member
	Buckets     []kv.Bucket
	// Preference has for each partition the nodes to ask, best first: the members of
	// its slots, then the fallbacks.
	Preference [][]kv.NodeID
}

// AppendClusterInfoResult appends the result of cluster.info.
func AppendClusterInfoResult(dst []byte, a *ClusterInfoResult) []byte {
	w := beginMap(dst)
	w.str(fieldCluster, a.Cluster)
	w.uint(fieldRingVersion, a.RingVersion)
	w.uint(fieldReplicas, uint64(a.Replicas))
	w.uint(fieldPartitions, uint64(a.Partitions))
	w.uint(fieldHashSeed, a.HashSeed)
	w.array(fieldMembers, len(a.Members))
	for i := range a.Members {
		m := beginMap(w.dst)
		m.member(&a.Members[i])
		w.dst = m.end()
	}
	w.buckets(a.Buckets)
	w.array(fieldPreference, len(a.Preference))
	for _, nodes := range a.Preference {
		w.dst = appendArray(w.dst, len(nodes))
		for _, id := range nodes {
			w.dst = appendUint(w.dst, uint64(id))
		}
	}
	return w.end()
}

// DecodeClusterInfoResult reads the result of cluster.info.
func DecodeClusterInfoResult(result []byte, into *ClusterInfoResult) error {
	*into = ClusterInfoResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldCluster:
			into.Cluster = r.text(MaxName)
		case fieldRingVersion:
			into.RingVersion = r.uint64()
		case fieldReplicas:
			into.Replicas = r.uint32()
		case fieldPartitions:
			into.Partitions = r.uint32()
		case fieldHashSeed:
			into.HashSeed = r.uint64()
		case fieldMembers:
			into.Members = r.members()
		case fieldBuckets:
			into.Buckets = r.buckets()
		case fieldPreference:
			into.Preference = r.preference()
		default:
			r.skip()
		}
	}
	return r.finish()
}

func (r *reader) members() []Member {
	return elements(r, r.array(minMember), (*reader).member)
}

func (r *reader) member() (m Member) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		if !m.read(r, f) {
			r.skip()
		}
	}
	return m
}

// preference reads lists of nodes, none of which is empty.
func (r *reader) preference() [][]kv.NodeID {
	return elements(r, r.array(2), func(r *reader) []kv.NodeID {
		n := r.array(1)
		if n == 0 {
			r.fail(invalid(r.field, "a partition has no nodes"))
		}
		return elements(r, n, func(r *reader) kv.NodeID { return kv.NodeID(r.uint16()) })
	})
}
