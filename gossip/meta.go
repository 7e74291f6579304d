// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/hashicorp/memberlist"

	"github.com/dyno-kv/dyno/kv"
)

// MaxMeta is the most that a node may say of itself, in bytes. memberlist panics
// above it (TRAPS N6), so Config.Validate refuses first.
const MaxMeta = memberlist.MetaMaxSize

// State is what a node says of itself.
type State uint8

const (
	// StateReady takes requests.
	StateReady State = 1 + iota
	// StateDraining still answers, and is about to leave: choose others first.
	StateDraining
	// StateUnconfirmed takes requests, and does not count for pr and pw: the group has not
	// confirmed the start of its store yet.
	StateUnconfirmed
	// StateNotReady has a store that serves nothing.
	StateNotReady
)

func (s State) String() string {
	switch s {
	case StateReady:
		return "ready"
	case StateDraining:
		return "draining"
	case StateUnconfirmed:
		return "unconfirmed"
	case StateNotReady:
		return "not-ready"
	default:
		// A later version may know more states.
		return fmt.Sprintf("state(%d)", uint8(s))
	}
}

// Meta is what a node tells the others of itself, all of it a hint: nothing that
// must be true may be decided from it.
type Meta struct {
	NodeID   kv.NodeID
	Instance kv.Instance
	// RingVersion is the newest ring that the node holds; 0 means none yet.
	RingVersion uint64
	// Load grows with how busy the node is; only comparisons have a meaning.
	Load  uint32
	State State
	// ClientAddr and PeerAddr are where clients and peers reach the node.
	ClientAddr string
	PeerAddr   string
}

// The encoding, integers big-endian. A later version may only append, so the
// known part of any version can be read.
//
//	0      magic 0xd7
//	1      version
//	2..9   cluster tag: FNV-1a, 64 bits, of the cluster id
//	10..11 node id
//	12..19 instance
//	20..27 ring version
//	28..31 load
//	32     state
//	33..34 length of the client address, then its bytes
//	..     length (2) of the peer address, then its bytes
const (
	metaMagic   = 0xd7
	metaVersion = 1
	metaFixed   = 33
	metaLength  = 2
)

var (
	// errMeta: the bytes are no meta of dyno.
	errMeta = errors.New("gossip: malformed meta")
	// errForeign: they are, of another cluster.
	errForeign = errors.New("gossip: meta of another cluster")
)

// clusterTag is what of the cluster id travels in the meta.
func clusterTag(clusterID string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(clusterID)) // never fails
	return h.Sum64()
}

func (m Meta) size() int {
	return metaFixed + metaLength + len(m.ClientAddr) + metaLength + len(m.PeerAddr)
}

// encodeMeta encodes m. Its size is that of m.size(), which Config.Validate has
// bounded: the addresses never change after Open.
func encodeMeta(tag uint64, m Meta) []byte {
	b := make([]byte, 0, m.size())
	b = append(b, metaMagic, metaVersion)
	b = binary.BigEndian.AppendUint64(b, tag)
	b = binary.BigEndian.AppendUint16(b, uint16(m.NodeID))
	b = binary.BigEndian.AppendUint64(b, uint64(m.Instance))
	b = binary.BigEndian.AppendUint64(b, m.RingVersion)
	b = binary.BigEndian.AppendUint32(b, m.Load)
	b = append(b, byte(m.State))
	for _, s := range []string{m.ClientAddr, m.PeerAddr} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return b
}

// decodeMeta reads what another node says of itself. It keeps no part of b. It
// returns errForeign for a node of another cluster and errMeta for anything that
// no node of dyno would say.
func decodeMeta(tag uint64, b []byte) (Meta, error) {
	if len(b) > MaxMeta {
		return Meta{}, fmt.Errorf("%w: %d bytes, at most %d", errMeta, len(b), MaxMeta)
	}
	if len(b) < metaFixed || b[0] != metaMagic || b[1] == 0 {
		return Meta{}, fmt.Errorf("%w: %d bytes without the head of one", errMeta, len(b))
	}
	if got := binary.BigEndian.Uint64(b[2:]); got != tag {
		return Meta{}, fmt.Errorf("%w: tag %016x, here %016x", errForeign, got, tag)
	}
	m := Meta{
		NodeID:      kv.NodeID(binary.BigEndian.Uint16(b[10:])),
		Instance:    kv.Instance(binary.BigEndian.Uint64(b[12:])),
		RingVersion: binary.BigEndian.Uint64(b[20:]),
		Load:        binary.BigEndian.Uint32(b[28:]),
		State:       State(b[32]),
	}
	if m.NodeID == 0 || m.State == 0 {
		return Meta{}, fmt.Errorf("%w: node %d, state %d", errMeta, m.NodeID, m.State)
	}
	rest := b[metaFixed:]
	var err error
	if m.ClientAddr, rest, err = cutString(rest); err != nil {
		return Meta{}, err
	}
	if m.PeerAddr, rest, err = cutString(rest); err != nil {
		return Meta{}, err
	}
	if b[1] == metaVersion && len(rest) != 0 {
		return Meta{}, fmt.Errorf("%w: %d bytes after its end", errMeta, len(rest))
	}
	return m, nil
}

func cutString(b []byte) (string, []byte, error) {
	if len(b) < metaLength {
		return "", nil, fmt.Errorf("%w: ends in a length", errMeta)
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[metaLength:]
	if n > len(b) {
		return "", nil, fmt.Errorf("%w: %d bytes of an address, %d left", errMeta, n, len(b))
	}
	s := string(b[:n])
	if !kv.Printable(s) {
		return "", nil, fmt.Errorf("%w: address %q is not printable", errMeta, s)
	}
	return s, b[n:], nil
}
