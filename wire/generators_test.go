// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"slices"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// Generators of messages as an encoder may be given them. Unset options have the values
// that a decoder gives them, so that decode(encode(x)) is x.

func drawBytes(t *rapid.T, label string, least, most int) []byte {
	return rapid.SliceOfN(rapid.Byte(), least, most).Draw(t, label)
}

func drawKey(t *rapid.T) []byte { return drawBytes(t, "key", 1, 40) }

func drawText(t *rapid.T, label string) string {
	return rapid.StringN(0, 20, MaxTrace).Draw(t, label)
}

func drawName(t *rapid.T, label string) string {
	return rapid.StringN(1, 40, MaxTrace).Draw(t, label)
}

func drawFlag(t *rapid.T, label string) bool { return rapid.Bool().Draw(t, label) }

func drawMilli(t *rapid.T, label string) int64 {
	return rapid.Int64Range(0, MaxTTLMS).Draw(t, label)
}

func drawRequestID(t *rapid.T) kv.RequestID {
	if drawFlag(t, "no request id") {
		return kv.RequestID{}
	}
	return kv.RequestID(drawBytes(t, "request id", 16, 16))
}

func drawLevel(t *rapid.T, label string, zero bool) kv.Level {
	levels := []kv.Level{
		kv.LevelUnset, kv.LevelOne, kv.LevelQuorum, kv.LevelAll, 1, 2, kv.MaxLevel,
	}
	if zero {
		levels = append(levels, kv.LevelZero)
	}
	return rapid.SampledFrom(levels).Draw(t, label)
}

func drawCommon(t *rapid.T) Common {
	return Common{
		TimeoutMS: rapid.Uint32Range(1, 1<<32-1).Draw(t, "timeout"),
		Trace:     drawText(t, "trace"),
	}
}

func drawBucket(t *rapid.T) string {
	if drawFlag(t, "default bucket") {
		return kv.DefaultBucketName
	}
	return drawName(t, "bucket")
}

func drawReadOptions(t *rapid.T) ReadOptions {
	return ReadOptions{
		R: drawLevel(t, "r", false), PR: drawLevel(t, "pr", true),
		Atomic: drawFlag(t, "atomic"), MetaOnly: drawFlag(t, "meta only"),
	}
}

func drawWriteOptions(t *rapid.T) WriteOptions {
	return WriteOptions{
		Context: drawBytes(t, "context", 0, 30),
		W:       drawLevel(t, "w", false), PW: drawLevel(t, "pw", true),
		RequestID: drawRequestID(t),
		Fence:     kv.Fence(rapid.Uint64().Draw(t, "fence")),
	}
}

func drawSibling(t *rapid.T) Sibling {
	s := Sibling{
		TimestampMS: drawMilli(t, "written"),
		ExpiresMS:   drawMilli(t, "expires"),
		Fence:       kv.Fence(rapid.Uint64().Draw(t, "fence")),
	}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		s.Deleted = true
	case 1:
		s.Bare = true
	default:
		s.Value = drawBytes(t, "value", 0, 300)
	}
	return s
}

func drawSiblings(t *rapid.T, least int) []Sibling {
	return rapid.SliceOfN(rapid.Custom(drawSibling), least, least+20).Draw(t, "siblings")
}

func drawGetResult(t *rapid.T) GetResult {
	a := GetResult{
		Found: drawFlag(t, "found"), Siblings: drawSiblings(t, 0),
		RingVersion: rapid.Uint64().Draw(t, "ring version"),
	}
	if a.More = drawFlag(t, "more"); a.More {
		a.Skip = drawBytes(t, "skip", 1, 30)
	} else {
		a.Context = drawBytes(t, "context", 0, 30)
	}
	return a
}

func drawDot(t *rapid.T) vclock.Dot {
	return vclock.Dot{
		Actor:   vclock.Actor(rapid.Uint64Range(1, 6).Draw(t, "actor") << 48 >> 3),
		Counter: rapid.Uint64Range(1, 300).Draw(t, "counter"),
	}
}

// drawObject draws an object that keeps the invariants of kv.
func drawObject(t *rapid.T) kv.Object {
	dots := rapid.SliceOfN(rapid.Custom(drawDot), 0, 20).Draw(t, "dots")
	slices.SortFunc(dots, vclock.Dot.Compare)
	dots = slices.Compact(dots)
	o := kv.Object{
		Context: vclock.ContextOf(dots...).Join(vclock.VectorOf(dots[:len(dots)/2]...)),
		Fence:   kv.Fence(rapid.Uint64().Draw(t, "fence")),
	}
	for _, d := range dots {
		if drawFlag(t, "overwritten") {
			continue
		}
		o.Versions = append(o.Versions, drawVersion(t, d, o.Fence))
	}
	return o
}

func drawVersion(t *rapid.T, d vclock.Dot, fence kv.Fence) kv.Version {
	v := kv.Version{
		Dot: d, Kind: kv.KindTombstone, Fence: fence,
		Stamp: kv.Stamp(rapid.Uint64().Draw(t, "stamp")), Request: drawRequestID(t),
	}
	if drawFlag(t, "value") {
		v.Kind, v.ExpiresAt = kv.KindValue, drawMilli(t, "expires")
		v.Value = drawBytes(t, "value", 0, 300)
	}
	return v.Sealed()
}

func drawTarget(t *rapid.T, leastKey int) Target {
	return Target{
		Bucket:      kv.BucketID(rapid.Uint32().Draw(t, "bucket")),
		Partition:   rapid.Uint16().Draw(t, "partition"),
		Key:         drawBytes(t, "key", leastKey, 40),
		Slot:        rapid.Uint8().Draw(t, "slot"),
		Placement:   kv.PlacementVersion(rapid.Uint64().Draw(t, "placement")),
		Instance:    kv.Instance(rapid.Uint64().Draw(t, "instance")),
		RemainingMS: rapid.Uint32().Draw(t, "remaining"),
	}
}

func drawRole(t *rapid.T) kv.Role {
	return rapid.SampledFrom([]kv.Role{
		kv.RoleOwner, kv.RoleFallback, kv.RoleNotReady, kv.RoleNotOwner,
	}).Draw(t, "role")
}

func drawStanding(t *rapid.T) Standing {
	return Standing{
		Role:      drawRole(t),
		Placement: kv.PlacementVersion(rapid.Uint64().Draw(t, "placement")),
		Instance:  kv.Instance(rapid.Uint64().Draw(t, "instance")),
		Confirmed: drawFlag(t, "confirmed"),
		Epoch:     kv.PurgeEpoch(rapid.Uint64().Draw(t, "epoch")),
	}
}

func drawReplicaCode(t *rapid.T) ReplicaCode {
	last := uint8(ReplicaNotComparable)
	return ReplicaCode(rapid.Uint8Range(uint8(ReplicaOK), last).Draw(t, "code"))
}

func drawMode(t *rapid.T) ReadMode {
	return rapid.SampledFrom([]ReadMode{ReadFull, ReadBare}).Draw(t, "mode")
}

func drawMember(t *rapid.T) Member {
	return Member{
		ID: kv.NodeID(rapid.Uint16().Draw(t, "id")), Name: drawName(t, "name"),
		Zone: drawText(t, "zone"),
		Addresses: Addresses{
			Client: drawText(t, "client"), Peer: drawText(t, "peer"),
			Gossip: drawText(t, "gossip"), Admin: drawText(t, "admin"),
		},
	}
}

func drawKVBucket(t *rapid.T) kv.Bucket {
	return kv.Bucket{
		ID:   kv.BucketID(rapid.Uint32().Draw(t, "id")),
		Name: drawName(t, "name"), N: rapid.Uint8().Draw(t, "n"),
		R: drawLevel(t, "r", false), W: drawLevel(t, "w", false),
		PR: drawLevel(t, "pr", true), PW: drawLevel(t, "pw", true),
		Sloppy: drawFlag(t, "sloppy"), LWW: drawFlag(t, "lww"),
		TTL: drawMilli(t, "ttl"), Fenced: drawFlag(t, "fenced"),
	}
}

func drawOpens(t *rapid.T) Opens {
	seqs := rapid.SliceOfDistinct(rapid.Uint64(), rapid.ID[uint64]).Draw(t, "seqs")
	slices.SortFunc(seqs, cmp.Compare)
	o := Opens{
		Confirmed: rapid.IntRange(-1, len(seqs)-1).Draw(t, "confirmed"), BootID: drawText(t, "boot"),
		Refused: drawFlag(t, "refused"),
	}
	for _, seq := range seqs {
		o.List = append(o.List, kv.Open{Seq: seq, Nonce: rapid.Uint64().Draw(t, "nonce")})
	}
	return o
}
