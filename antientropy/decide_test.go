// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func TestWhoIsBehind(t *testing.T) {
	old := written(dot(1, 1), "old")
	newer := written(dot(2, 1), "newer", dot(1, 1))
	beside := written(dot(3, 1), "beside")
	fenced := old
	fenced.Fence, fenced.Versions = 3, nil
	tests := []struct {
		name         string
		mine, theirs kv.Object
		want         Behind
	}{
		{"the same", old, old, BehindNobody},
		{"nothing on both sides", kv.Object{}, kv.Object{}, BehindNobody},
		{"mine is missing", kv.Object{}, old, BehindMine},
		{"theirs is missing", old, kv.Object{}, BehindTheirs},
		{"theirs has overwritten mine", old, newer, BehindMine},
		{"mine has overwritten theirs", newer, old, BehindTheirs},
		{"siblings", newer, beside, BehindBoth},
		{"theirs was fenced", old, fenced, BehindMine},
		{"without values", newer.WithoutValues(), old.WithoutValues(), BehindTheirs},
	}
	for _, tt := range tests {
		if got := Decide(tt.mine, tt.theirs); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// I6: after each of those who are behind has merged the other one, nobody is, and the
// hashes are equal: one repair is enough.
func TestOneMergeEndsADifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mine, theirs := drawObject(t), drawObject(t)
		who := Decide(mine.WithoutValues(), theirs.WithoutValues())
		key := []byte("key")
		equal := Of(seed, bucket, key, &mine) == Of(seed, bucket, key, &theirs)
		if (who == BehindNobody) != equal {
			t.Fatalf("%s is behind, equal hashes: %v", who, equal)
		}
		merged := kv.Merge(mine, theirs)
		if who == BehindMine || who == BehindBoth {
			mine = merged
		}
		if who == BehindTheirs || who == BehindBoth {
			theirs = merged
		}
		if after := Decide(mine, theirs); after != BehindNobody {
			t.Fatalf("%s was behind, and after the merge %s", who, after)
		}
		if Of(seed, bucket, key, &mine) != Of(seed, bucket, key, &theirs) {
			t.Fatal("the hashes still differ")
		}
	})
}

// What can not be read is behind whoever can read it, and helps nobody.
func TestWhoIsBehindByTheLists(t *testing.T) {
	one, two := Entry{HeldObject, 1}, Entry{HeldObject, 2}
	broken, other := Entry{HeldDamaged, 3}, Entry{HeldDamaged, 4}
	tests := []struct {
		mine, theirs Entry
		want         Behind
	}{
		{one, two, BehindUnknown},
		{Entry{}, one, BehindMine},
		{one, Entry{}, BehindTheirs},
		{broken, one, BehindMine},
		{one, broken, BehindTheirs},
		{broken, Entry{}, BehindNobody},
		{broken, other, BehindNobody},
	}
	for _, tt := range tests {
		d := Difference{Mine: tt.mine, Theirs: tt.theirs}
		if got := d.Behind(); got != tt.want {
			t.Errorf("mine %s, theirs %s: %s, want %s", tt.mine.Held, tt.theirs.Held, got, tt.want)
		}
	}
}

func TestWordsOfTheRoom(t *testing.T) {
	for got, want := range map[string]string{
		HeldNothing.String(): "nothing", HeldObject.String(): "object",
		HeldDamaged.String(): "damaged", Held(9).String(): "held(9)",
		BehindNobody.String(): "nobody", BehindMine.String(): "mine",
		BehindTheirs.String(): "theirs", BehindBoth.String(): "both",
		BehindUnknown.String(): "unknown", Behind(9).String(): "behind(9)",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
