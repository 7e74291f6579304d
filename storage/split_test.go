// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// records lists the keys of an engine, by their kind.
func records(t testing.TB, e Engine) (objects, versions int) {
	t.Helper()
	for _, line := range list(t, e, e.MaxVersion(), "", "") {
		switch line[0] {
		case 'o':
			objects++
		case 'v':
			versions++
		}
	}
	return objects, versions
}

func big(char string, size int) string { return strings.Repeat(char, size) }

func TestALargeObjectHasARecordForEachValue(t *testing.T) {
	for _, cache := range []int{0, 1 << 20} {
		t.Run(fmt.Sprintf("cache=%d", cache), func(t *testing.T) {
			onEngines(t, func(t *testing.T, c engineCase, e Engine) {
				cfg := testConfig()
				cfg.CacheBytes = cache
				testLargeObject(t, cfg, c, e)
			})
		})
	}
}

func testLargeObject(t *testing.T, cfg Config, c engineCase, e Engine) {
	r := start(t, cfg, e)
	check := func(wantVersions int, want ...string) {
		t.Helper()
		got, state := r.values("k")
		slices.Sort(got)
		if state != StatePresent || !slices.Equal(got, want) {
			t.Fatalf("%d values, %s; want %d", len(got), state, len(want))
		}
		if objects, versions := records(t, e); objects != 1 || versions != wantVersions {
			t.Fatalf("%d objects and %d versions are stored, want 1 and %d",
				objects, versions, wantVersions)
		}
	}
	a, b := big("a", 40<<10), big("b", 512<<10)
	mustDo(t, r.overwrite("k", a))
	check(0, a) // small enough for one record
	mustDo(t, r.blind("k", b))
	check(2, a, b)
	mustDo(t, r.blind("k", "c")) // a small sibling of a large object
	check(3, a, b, "c")
	mustDo(t, r.overwrite("k", "d"))
	check(0, "d") // the records of dropped values are gone
	mustDo(t, r.overwrite("k", b))
	check(1, b)
	mustDo(t, r.overwrite("k", big("e", 100<<10)))
	check(1, big("e", 100<<10))
	r = r.restart(cfg, c, e)
	e = r.engine
	check(1, big("e", 100<<10))
	mustDo(t, r.overwrite("k", "f"))
	check(0, "f")
}

// TestASiblingOfALargeObjectDoesNotWriteTheOthersAgain is why large objects are split.
func TestASiblingOfALargeObjectDoesNotWriteTheOthersAgain(t *testing.T) {
	m := NewMemory()
	r := start(t, testConfig(), m)
	mustDo(t, r.overwrite("k", big("a", 500<<10)))
	before := m.Size()
	mustDo(t, r.blind("k", "sibling"))
	if written := m.Size() - before; written > 4<<10 {
		t.Errorf("%d bytes were written for a sibling of 7 bytes", written)
	}
}

// TestAnObjectLargerThanACommitIsStoredInParts merges what no single transaction takes.
// Merges are never refused, however large.
func TestAnObjectLargerThanACommitIsStoredInParts(t *testing.T) {
	onEngines(t, func(t *testing.T, c engineCase, e Engine) {
		r := start(t, testConfig(), e)
		var merged kv.Object
		var want []string
		for i := range 2 + e.Limits().Bytes/(512<<10) {
			value := big(string(rune('a'+i)), 512<<10)
			want = append(want, value)
			v := kv.Version{
				Dot:  vclock.Dot{Actor: vclock.Actor(i+1)<<48 | 1, Counter: 1},
				Kind: kv.KindValue, Value: []byte(value),
			}.Sealed()
			one, err := kv.Object{}.Put(v, vclock.Context{})
			if err != nil {
				t.Fatal(err)
			}
			merged = kv.Merge(merged, one)
		}
		mustDo(t, r.do("k", func(Current) Next { return Put(merged, nil, nil) }))
		if got, _ := r.values("k"); !slices.Equal(got, want) {
			t.Fatalf("%d values are read, want %d", len(got), len(want))
		}
		r = r.restart(testConfig(), c, e)
		if got, _ := r.values("k"); !slices.Equal(got, want) {
			t.Fatalf("after a restart %d values are read, want %d", len(got), len(want))
		}
	})
}

func TestAnObjectWithoutItsValuesIsRefused(t *testing.T) {
	r := start(t, testConfig(), NewMemory())
	mustDo(t, r.overwrite("k", "value"))
	res := r.do("k", func(c Current) Next { return Put(c.Object.WithoutValues(), nil, nil) })
	if res.Outcome != OutcomeNone || res.Err == nil {
		t.Errorf("%s, %v; want none, ErrIncomplete", res.Outcome, res.Err)
	}
	if got, _ := r.values("k"); len(got) != 1 || got[0] != "value" {
		t.Errorf("the object is %q now", got)
	}
}

// TestAnEncodedObjectIsStoredAsItCame spares the encoding of what a peer sent.
func TestAnEncodedObjectIsStoredAsItCame(t *testing.T) {
	r := start(t, testConfig(), NewMemory())
	object, err := kv.Object{}.Put(r.version("value"), vclock.Context{})
	if err != nil {
		t.Fatal(err)
	}
	encoded := wire.AppendObject(nil, &object)
	mustDo(t, r.do("k", func(Current) Next { return Put(object, encoded, nil) }))
	c, err := r.Read(partitionOf("k"), 1, []byte("k"), ModeFull)
	if err != nil || string(c.Encoded) != string(encoded) || !c.Full {
		t.Errorf("read %x, want %x", c.Encoded, encoded)
	}
}
