// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// The fields of each command, in the order of their bytes. testdata/commands.txt pins
// them: what was written once can be read for ever.

func (c RegisterMember) append(dst []byte) []byte {
	dst = appendBytes(dst, c.Name)
	dst = appendBytes(dst, c.Zone)
	dst = appendUint(dst, c.Weight)
	dst = c.Addresses.append(dst)
	dst = appendUint(dst, c.Expect)
	return appendUint(dst, c.Replicas)
}

func readRegisterMember(r *reader) Command {
	return RegisterMember{
		Name: r.text(), Zone: r.text(), Weight: r.uint32(), Addresses: r.addresses(),
		Expect: r.uint32(), Replicas: r.uint32(),
	}
}

func (a Addresses) append(dst []byte) []byte {
	for _, addr := range [...]string{a.Client, a.Peer, a.Gossip, a.Admin} {
		dst = appendBytes(dst, addr)
	}
	return dst
}

func (r *reader) addresses() Addresses {
	return Addresses{Client: r.text(), Peer: r.text(), Gossip: r.text(), Admin: r.text()}
}

func (c OpenStore) append(dst []byte) []byte {
	dst = appendUint(dst, c.Node)
	dst = appendOpens(dst, c.Opens)
	return c.Addresses.append(dst)
}

func readOpenStore(r *reader) Command {
	return OpenStore{Node: r.node(), Opens: r.opens(), Addresses: r.addresses()}
}

func (c AssignRaft) append(dst []byte) []byte {
	dst = appendUint(dst, c.Node)
	dst = appendOpen(dst, c.For)
	return appendUint(dst, c.Previous)
}

func (c DropRaft) append(dst []byte) []byte { return appendUint(dst, c.Raft) }

func (FormRing) append(dst []byte) []byte { return dst }

func (c ProposePlan) append(dst []byte) []byte {
	dst = append(dst, c.Request[:]...)
	dst = appendUint(dst, len(c.Moves))
	for _, m := range c.Moves {
		dst = appendMove(dst, m)
	}
	return dst
}

func appendMove(dst []byte, m ring.Move) []byte {
	dst = appendUint(dst, m.Partition)
	dst = appendInt(dst, int64(m.Slot))
	dst = appendUint(dst, m.From)
	return appendUint(dst, m.To)
}

// minMove is the least that a move takes.
const minMove = 4

func (r *reader) move() ring.Move {
	return ring.Move{
		Partition: r.uint16(), Slot: int(r.int()), From: r.node(), To: r.node(),
	}
}

func (c CommitPlan) append(dst []byte) []byte { return appendUint(dst, c.Plan) }
func (c AbortPlan) append(dst []byte) []byte  { return appendUint(dst, c.Plan) }

func (c MoveStep) append(dst []byte) []byte {
	dst = appendUint(dst, c.Plan)
	dst = appendUint(dst, c.Move)
	return append(dst, byte(c.Step))
}

func (c PurgeEpoch) append(dst []byte) []byte {
	dst = append(dst, c.Request[:]...)
	dst = appendUint(dst, c.Partition)
	dst = appendUint(dst, c.Placement)
	return appendUint(dst, c.After)
}

func (c PurgeCommit) append(dst []byte) []byte {
	dst = appendUint(dst, c.Partition)
	dst = appendUint(dst, c.Placement)
	return appendUint(dst, c.Epoch)
}

// decodeRing reads the commands that change the ring by plans, and its partitions.
func decodeRing(k kind, r *reader) Command {
	switch k {
	case kindProposePlan:
		c := ProposePlan{Request: r.id()}
		if n := r.count(minMove); n > 0 {
			c.Moves = make([]ring.Move, n)
		}
		for i := range c.Moves {
			c.Moves[i] = r.move()
		}
		return c
	case kindCommitPlan:
		return CommitPlan{Plan: r.uint()}
	case kindMoveStep:
		return MoveStep{Plan: r.uint(), Move: r.uint32(), Step: ring.Step(r.byte())}
	case kindAbortPlan:
		return AbortPlan{Plan: r.uint()}
	case kindPurgeEpoch:
		return PurgeEpoch{
			Request: r.id(), Partition: r.uint16(), Placement: kv.PlacementVersion(r.uint()),
			After: kv.PurgeEpoch(r.uint()),
		}
	default:
		return PurgeCommit{
			Partition: r.uint16(), Placement: kv.PlacementVersion(r.uint()),
			Epoch: kv.PurgeEpoch(r.uint()),
		}
	}
}

func (c GenerationBump) append(dst []byte) []byte { return appendUint(dst, c.Previous) }
func (c VersionSet) append(dst []byte) []byte     { return appendUint(dst, c.Version) }

func (c BucketCreate) append(dst []byte) []byte {
	return appendBucket(append(dst, c.Request[:]...), c.Bucket)
}

func appendBucket(dst []byte, b kv.Bucket) []byte {
	dst = appendUint(dst, b.ID)
	dst = appendBytes(dst, b.Name)
	dst = append(dst, b.N, byte(b.R), byte(b.W), byte(b.PR), byte(b.PW))
	dst = appendBool(dst, b.Sloppy)
	dst = appendBool(dst, b.LWW)
	dst = appendInt(dst, b.TTL)
	return appendBool(dst, b.Fenced)
}

// minBucket is the least that a bucket takes.
const minBucket = 1 + 1 + 5 + 4

func (r *reader) bucket() kv.Bucket {
	return kv.Bucket{
		ID: kv.BucketID(r.uint32()), Name: r.text(), N: r.byte(), R: r.level(), W: r.level(),
		PR: r.level(), PW: r.level(), Sloppy: r.bool(), LWW: r.bool(), TTL: r.int(),
		Fenced: r.bool(),
	}
}

func (c BucketUpdate) append(dst []byte) []byte {
	dst = append(dst, c.Request[:]...)
	dst = appendBytes(dst, c.Name)
	dst = appendUint(dst, c.ID)
	dst = append(dst, byte(c.R), byte(c.W), byte(c.PR), byte(c.PW))
	dst = appendBool(dst, c.SetSloppy)
	dst = appendBool(dst, c.Sloppy)
	dst = appendBool(dst, c.SetTTL)
	return appendInt(dst, c.TTL)
}

func (c BucketDelete) append(dst []byte) []byte {
	dst = append(dst, c.Request[:]...)
	dst = appendBytes(dst, c.Name)
	return appendUint(dst, c.ID)
}

func decodeBucket(k kind, r *reader) Command {
	switch k {
	case kindBucketCreate:
		return BucketCreate{Request: r.id(), Bucket: r.bucket()}
	case kindBucketUpdate:
		return BucketUpdate{
			Request: r.id(), Name: r.text(), ID: kv.BucketID(r.uint32()), R: r.level(),
			W: r.level(), PR: r.level(), PW: r.level(), SetSloppy: r.bool(), Sloppy: r.bool(),
			SetTTL: r.bool(), TTL: r.int(),
		}
	default:
		return BucketDelete{Request: r.id(), Name: r.text(), ID: kv.BucketID(r.uint32())}
	}
}
