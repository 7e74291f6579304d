// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"errors"
	"testing"
)

func TestLevelsResolveByTheBucketsReplicas(t *testing.T) {
	for _, tc := range []struct {
		text string
		want [6]int // for 1 to 5 replicas; -1 where it is refused
	}{
		{"one", [6]int{1: 1, 1, 1, 1, 1}},
		{"quorum", [6]int{1: 1, 2, 2, 3, 3}},
		{"all", [6]int{1: 1, 2, 3, 4, 5}},
		{"0", [6]int{}},
		{"1", [6]int{1: 1, 1, 1, 1, 1}},
		{"3", [6]int{1: -1, -1, 3, 3, 3}},
		{"5", [6]int{1: -1, -1, -1, -1, 5}},
		{"16", [6]int{1: -1, -1, -1, -1, -1}},
	} {
		l, err := ParseLevel(tc.text)
		if err != nil || l.String() != tc.text || l == LevelUnset {
			t.Errorf("%q is read as %s, %v", tc.text, l, err)
		}
		for n := 1; n < len(tc.want); n++ {
			got, err := l.Resolve(n)
			if refused := tc.want[n] < 0; refused != errors.Is(err, ErrLevel) ||
				!refused && got != tc.want[n] || refused && got != 0 {
				t.Errorf("%s of %d: %d, %v", l, n, got, err)
			}
		}
	}
}

func TestTextThatIsNoLevelIsRefused(t *testing.T) {
	for _, s := range []string{
		"", "two", "-1", "17", "251", "256", "1.5", "ONE", " 1", "99999999999999999999",
	} {
		if l, err := ParseLevel(s); !errors.Is(err, ErrLevel) || l != LevelUnset {
			t.Errorf("%q is read as %d, %v", s, l, err)
		}
	}
}

func TestEveryNumberUpToTheLargestIsALevel(t *testing.T) {
	for n := range MaxLevel + 1 {
		l, err := LevelOf(n)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.Resolve(MaxLevel); err != nil || got != n {
			t.Errorf("%d resolves to %d, %v", n, got, err)
		}
		if l.Or(LevelAll) != l {
			t.Errorf("%s gave way to a default", l)
		}
	}
	for _, n := range []int{-1, MaxLevel + 1, 300} {
		if _, err := LevelOf(n); !errors.Is(err, ErrLevel) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestALevelThatWasNotSaidIsTheBuckets(t *testing.T) {
	if got := LevelUnset.Or(LevelAll); got != LevelAll {
		t.Errorf("got %s", got)
	}
	if got, err := LevelUnset.Resolve(3); got != 0 || err != nil || LevelUnset.String() != "" {
		t.Errorf("got %d, %v, %q", got, err, LevelUnset)
	}
	b := BuiltinBucket(3)
	want := Bucket{ID: 1, Name: "default", N: 3, R: LevelQuorum, W: LevelQuorum,
		PR: LevelZero, PW: LevelZero, Sloppy: true}
	if b != want {
		t.Errorf("the built-in bucket is %+v", b)
	}
}
