// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// Values that the golden vectors, and other tests, are made of.

func goldenCluster() [16]byte {
	return [16]byte{
		0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
	}
}

func goldenRequestID() kv.RequestID {
	return kv.RequestID{
		0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
	}
}

const (
	goldenMS     = 1_750_000_000_000
	goldenActor1 = vclock.Actor(1<<48 | 0x0a0b0c0d0e0f)
	goldenActor2 = vclock.Actor(2<<48 | 0x010203040506)
)

// goldenObject has a value and a concurrent tombstone, over an overwritten past.
func goldenObject() kv.Object {
	value := kv.Version{
		Dot: vclock.Dot{Actor: goldenActor1, Counter: 7}, Kind: kv.KindValue,
		Value: []byte("hello"), ExpiresAt: goldenMS + 60_000, Fence: 3,
		Stamp: kv.StampAt(goldenMS), Request: goldenRequestID(),
	}
	tombstone := kv.Version{
		Dot: vclock.Dot{Actor: goldenActor2, Counter: 300}, Kind: kv.KindTombstone,
		Fence: 3, Stamp: kv.StampAt(goldenMS + 5).Next(0),
	}
	return kv.Object{
		Context: vclock.VectorOf(
			vclock.Dot{Actor: goldenActor1, Counter: 7},
			vclock.Dot{Actor: goldenActor2, Counter: 2},
		).Add(tombstone.Dot),
		Versions: []kv.Version{value.Sealed(), tombstone.Sealed()},
		Fence:    3,
	}
}

func goldenTarget() Target {
	return Target{
		Bucket: kv.DefaultBucket, Partition: 42, Key: []byte("user/1"), Slot: 1,
		Placement: 5, Instance: 9, RemainingMS: 4900,
	}
}

func goldenStanding() Standing {
	return Standing{Role: kv.RoleOwner, Placement: 5, Instance: 9, Confirmed: true, Epoch: 2}
}

func goldenToken() []byte {
	key := vclock.Bind(goldenCluster(), uint32(kv.DefaultBucket), []byte("user/1"))
	return vclock.AppendToken(nil, key, goldenObject().Context)
}
