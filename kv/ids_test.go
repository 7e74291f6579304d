// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestIdsHoldTheirGenerationAndCounter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Generation(rapid.IntRange(0, int(MaxGeneration)).Draw(t, "generation"))
		n := rapid.Uint64Max(maxCounter).Draw(t, "counter")
		id, err := MakeID[Fence](g, n)
		if err != nil {
			t.Fatal(err)
		}
		if back, counter := SplitID(id); back != g || counter != n {
			t.Fatalf("%d, %d came back as %d, %d", g, n, back, counter)
		}
		// What JavaScript can hold exactly.
		if uint64(id) > 1<<53-1 || uint64(float64(id)) != uint64(id) {
			t.Fatalf("%d is not exact in a float", id)
		}
		b := uint32(n & maxBucketCounter)
		bucket, err := MakeBucketID(g, b)
		if err != nil {
			t.Fatal(err)
		}
		if back, counter := SplitBucketID(bucket); back != g || counter != b {
			t.Fatalf("bucket %d, %d came back as %d, %d", g, b, back, counter)
		}
	})
}

func TestIdsOfALaterGenerationAreHigherThanAllBefore(t *testing.T) {
	for g := range MaxGeneration {
		last, err := MakeID[Instance](g, maxCounter)
		if err != nil {
			t.Fatal(err)
		}
		first, err := MakeID[Instance](g+1, 0)
		if err != nil || first != last+1 {
			t.Errorf("generation %d ends at %d, the next begins at %d, %v", g, last, first, err)
		}
		lastBucket, err := MakeBucketID(g, maxBucketCounter)
		if err != nil {
			t.Fatal(err)
		}
		if bucket, err := MakeBucketID(g+1, 0); err != nil || bucket != lastBucket+1 {
			t.Errorf("buckets of generation %d end at %d, then %d, %v", g, lastBucket, bucket, err)
		}
	}
}

func TestExhaustedIdsAreRefusedAndNeverWrap(t *testing.T) {
	for _, tc := range []struct {
		g Generation
		n uint64
	}{
		{0, maxCounter + 1}, {0, math.MaxUint64}, {MaxGeneration, maxCounter + 1},
		{MaxGeneration + 1, 0}, {math.MaxUint8, 1},
	} {
		if id, err := MakeID[PurgeEpoch](tc.g, tc.n); !errors.Is(err, ErrExhausted) || id != 0 {
			t.Errorf("%+v: %d, %v", tc, id, err)
		}
	}
	for _, tc := range []struct {
		g Generation
		n uint32
	}{
		{0, maxBucketCounter + 1}, {0, math.MaxUint32}, {MaxGeneration + 1, 0}, {math.MaxUint8, 1},
	} {
		if id, err := MakeBucketID(tc.g, tc.n); !errors.Is(err, ErrExhausted) || id != 0 {
			t.Errorf("bucket %+v: %d, %v", tc, id, err)
		}
	}
	if id, err := MakeID[Fence](MaxGeneration, maxCounter); err != nil || id != 1<<53-1 {
		t.Errorf("the last id of all: %d, %v", id, err)
	}
	id, err := MakeBucketID(MaxGeneration, maxBucketCounter)
	if err != nil || id != math.MaxUint32 {
		t.Errorf("the last bucket of all: %d, %v", id, err)
	}
	if id, err := MakeBucketID(0, 1); err != nil || id != DefaultBucket {
		t.Errorf("the built-in bucket is the first: %d, %v", id, err)
	}
}
