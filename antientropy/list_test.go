// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestListsDifferInTheKeysThatDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mine, theirs := drawModel(t), drawModel(t)
		left, right := mine.list(), theirs.list()
		if !InOrder(left) || !InOrder(right) {
			t.Fatal("the lists are out of order")
		}
		got := DiffItems(left, right)
		found := make(map[string]bool)
		for _, d := range got {
			key := string(d.Key)
			if found[key] || d.Bucket != bucket || d.Mine == d.Theirs ||
				d.Mine != mine[key] || d.Theirs != theirs[key] {
				t.Fatalf("difference %+v, of %+v and %+v", d, mine[key], theirs[key])
			}
			found[key] = true
		}
		for n := range 41 {
			if key := keyOf(n); mine[key] != theirs[key] && !found[key] {
				t.Fatalf("%s differs and was not found", key)
			}
		}
	})
}

func TestBucketsComeBeforeKeys(t *testing.T) {
	a, b := Item{Bucket: 1, Key: []byte("z")}, Item{Bucket: 2, Key: []byte("a")}
	if !InOrder([]Item{a, b}) || InOrder([]Item{b, a}) || InOrder([]Item{a, a}) || !InOrder(nil) {
		t.Error("the order of lists is not that of stores")
	}
	held := Entry{Held: HeldObject, Hash: 1}
	a.Entry, b.Entry = held, held
	got := DiffItems([]Item{a}, []Item{b})
	if len(got) != 2 || got[0].Theirs != (Entry{}) || got[1].Mine != (Entry{}) {
		t.Errorf("keys of two buckets: %+v", got)
	}
}

// A key that is being written differs each time in another way.
func TestTrapM3OnlyDifferencesThatStayAreRepaired(t *testing.T) {
	e := func(hash uint64) Entry { return Entry{HeldObject, hash} }
	d := func(key string, mine, theirs Entry) Difference {
		return Difference{Bucket: bucket, Key: []byte(key), Mine: mine, Theirs: theirs}
	}
	first := []Difference{
		d("a", e(1), e(2)), d("b", e(1), e(2)), d("c", e(1), e(2)), d("d", e(1), Entry{}), d("f", e(1), e(2)),
	}
	second := []Difference{
		d("b", e(1), e(3)), d("c", e(4), e(2)), d("d", e(1), Entry{}), d("e", e(1), e(2)), d("f", e(1), e(2)),
	}
	var keys []string
	for _, still := range Persisting(first, second) {
		keys = append(keys, string(still.Key))
	}
	if !slices.Equal(keys, []string{"d", "f"}) {
		t.Errorf("%v stayed, want d and f", keys)
	}
	other := Difference{Bucket: bucket + 1, Key: []byte("f"), Mine: e(1), Theirs: e(2)}
	if got := Persisting(first, []Difference{other}); len(got) != 0 {
		t.Errorf("the key of another bucket stayed: %+v", got)
	}
	if got := Persisting(second, first); len(got) != 2 || !bytes.Equal(got[0].Key, []byte("d")) {
		t.Errorf("the other way round %+v stayed", got)
	}
}
