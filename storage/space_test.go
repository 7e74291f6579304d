// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

func testSpaces() []Space { return []Space{0, HintsFor(0), HintsFor(1), HintsFor(255)} }

// doIn runs an operation on a key of partition 5 in one space, and waits for its end.
func (r *rig) doIn(space Space, bucket kv.BucketID, key string, apply func(Current) Next) {
	r.t.Helper()
	done := make(chan Result, 1)
	op := &Op{
		Space: space, Partition: 5, Bucket: bucket, Key: []byte(key),
		Apply: apply, Done: func(res Result) { done <- res },
	}
	if err := r.Do(op); err != nil {
		r.t.Fatal(err)
	}
	mustDo(r.t, <-done)
}

// valuesIn reads a key of one space whole.
func (r *rig) valuesIn(space Space, key string) (values []string, state State) {
	r.t.Helper()
	c, err := r.In(space).Read(5, 1, []byte(key), ModeFull)
	if err != nil {
		r.t.Errorf("read %s in %s: %v", key, space, err)
	}
	for _, v := range c.Object.Versions {
		values = append(values, string(v.Value))
	}
	return values, c.State
}

func TestSpacesAreNamed(t *testing.T) {
	if slot, hints := Space(0).Slot(); hints || Space(0).String() != "own" {
		t.Errorf("the zero space is of slot %d: %s", slot, Space(0))
	}
	slot, hints := HintsFor(3).Slot()
	if !hints || slot != 3 || HintsFor(3).String() != "hints for slot 3" {
		t.Errorf("slot %d, %t: %s", slot, hints, HintsFor(3))
	}
}

// TestAKeyIsAnotherObjectInEachSpace: small and large, read, shown in pages and removed.
func TestAKeyIsAnotherObjectInEachSpace(t *testing.T) {
	for _, cache := range []int{0, 1 << 20} {
		onEngines(t, func(t *testing.T, c engineCase, e Engine) {
			cfg := testConfig()
			cfg.CacheBytes = cache
			r := start(t, cfg, e)
			for i, space := range testSpaces() {
				r.doIn(space, 1, "small", r.write(space.String()))
				r.doIn(space, 1, "large", r.write(big(fmt.Sprint(i), 100<<10)))
			}
			r = r.restart(cfg, c, e)
			checkSpaces(r, testSpaces())
			for gone := range testSpaces() {
				left := testSpaces()[gone+1:]
				for _, key := range []string{"small", "large"} {
					r.doIn(testSpaces()[gone], 1, key, func(Current) Next { return Remove() })
					if _, state := r.valuesIn(testSpaces()[gone], key); state != StateAbsent {
						t.Errorf("%s in %s is %s", key, testSpaces()[gone], state)
					}
				}
				checkSpaces(r, left)
				if n := len(list(t, r.engine, r.engine.MaxVersion(), "w", "")) +
					len(list(t, r.engine, r.engine.MaxVersion(), "v", "")); n != len(left) {
					t.Errorf("%d records of versions are left, want %d", n, len(left))
				}
			}
		})
	}
}

// checkSpaces reports what the spaces hold, where it is not what was written, or where
// others hold something.
func checkSpaces(r *rig, present []Space) {
	r.t.Helper()
	for i, space := range testSpaces() {
		var want []string
		if slices.Contains(present, space) {
			want = []string{"large", "small"}
			small, _ := r.valuesIn(space, "small")
			large, _ := r.valuesIn(space, "large")
			if !slices.Equal(small, []string{space.String()}) ||
				!slices.Equal(large, []string{big(fmt.Sprint(i), 100<<10)}) {
				r.t.Errorf("in %s: %q, and %d large values", space, small, len(large))
			}
		}
		entries, more, err := r.In(space).Scan(5, 1, nil, nil, 9, 1<<20, ModeFull)
		var scanned, folded []string
		for _, e := range entries {
			scanned = append(scanned, string(e.Key))
		}
		if err != nil || more || !slices.Equal(scanned, want) {
			r.t.Errorf("scan in %s: %q, %t, %v; want %q", space, scanned, more, err, want)
		}
		err = r.In(space).Fold(5, func(_ kv.BucketID, key []byte, _ Current) bool {
			folded = append(folded, string(key))
			return true
		})
		if err != nil || !slices.Equal(folded, want) {
			r.t.Errorf("fold in %s: %q, %v; want %q", space, folded, err, want)
		}
		bucket, found, err := r.In(space).BucketFrom(5, 0)
		if err != nil || found != (want != nil) || found && bucket != 1 {
			r.t.Errorf("buckets in %s: %d, %t, %v", space, bucket, found, err)
		}
	}
}

func TestSlotsWithHintsAreFoundInOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		r := start(t, testConfig(), e)
		r.doIn(0, 1, "own", r.write("v"))
		for _, slot := range []uint8{7, 0, 255} {
			r.doIn(HintsFor(slot), 1, "k", r.write("v"))
		}
		for from, want := range map[uint8]uint8{0: 0, 1: 7, 7: 7, 8: 255, 255: 255} {
			if got, found, err := r.HintsFrom(5, from); got != want || !found || err != nil {
				t.Errorf("from %d: %d, %t, %v; want %d", from, got, found, err, want)
			}
		}
		if got, found, err := r.HintsFrom(4, 0); found || err != nil {
			t.Errorf("of a partition without hints: %d, %t, %v", got, found, err)
		}
	})
}

// TestPagesGoOverAllBucketsInOrder walks a space with pages of every size, and goes on
// after what can not be read.
func TestPagesGoOverAllBucketsInOrder(t *testing.T) {
	m := NewMemory()
	r := start(t, testConfig(), m)
	var want []string
	for bucket := kv.BucketID(1); bucket <= 3; bucket++ {
		for _, key := range []string{"a", "aa", "b"} {
			r.doIn(HintsFor(1), bucket, key, r.write("v"))
			r.doIn(0, bucket, key+"-own", r.write("v"))
			want = append(want, fmt.Sprintf("%d/%s", bucket, key))
		}
	}
	damaged := placeOf(HintsFor(1), 5, 2, []byte("aa"))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	m = m.Crash(nil)
	m.Damage(damaged.record, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	r = start(t, testConfig(), m)
	for limit := 1; limit <= len(want)+1; limit++ {
		for _, size := range []int{1, math.MaxInt} {
			var got []string
			var from Position
			for pages := 0; ; pages++ {
				page, next, more, err := r.In(HintsFor(1)).Page(5, from, limit, size, ModeFull)
				if err != nil || len(page) > limit || len(page) == 0 || pages > len(want) {
					t.Fatalf("page %d of %d: %d objects, %v", pages, limit, len(page), err)
				}
				for _, at := range page {
					name := fmt.Sprintf("%d/%s", at.Bucket, at.Key)
					got = append(got, name)
					bad := name == "2/aa"
					if (at.State == StateUnreadable) != bad || !bad && !at.Full {
						t.Errorf("%s is %s, whole: %t", name, at.State, at.Full)
					}
				}
				if from = next; !more {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d and %d bytes: %q", limit, size, got)
			}
		}
	}
	if page, _, more, err := r.In(HintsFor(0)).Page(5, Position{}, 9, 9, ModeFull); len(page) != 0 ||
		more || err != nil {
		t.Errorf("a page of nothing: %d, %t, %v", len(page), more, err)
	}
}

// TestARecordWhoseKeyIsDamagedHoldsNoPageUp: it is shown, and what comes after it too.
func TestARecordWhoseKeyIsDamagedHoldsNoPageUp(t *testing.T) {
	m := NewMemory()
	short := wire.AppendHintSlot(nil, 5, 1)
	if err := m.Commit(1, []Write{{Key: short, Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	r := start(t, testConfig(), m)
	r.doIn(HintsFor(1), 1, "k", r.write("v"))
	page, next, more, err := r.In(HintsFor(1)).Page(5, Position{}, 1, 1<<20, ModeFull)
	if err != nil || !more || len(page) != 1 || page[0].State != StateUnreadable {
		t.Fatalf("%+v, %t, %v", page, more, err)
	}
	page, _, more, err = r.In(HintsFor(1)).Page(5, next, 1, 1<<20, ModeFull)
	if err != nil || more || len(page) != 1 || string(page[0].Key) != "k" {
		t.Errorf("then %+v, %t, %v", page, more, err)
	}
}

// TestHintsAreNoPartOfWhatTheNodeHolds: a hint that is gone after its delivery would look
// like an object that lost what it covered.
func TestHintsAreNoPartOfWhatTheNodeHolds(t *testing.T) {
	var events trace.Recorder
	cfg := testConfig()
	cfg.Trace = trace.New(1, &events)
	r := start(t, cfg, NewMemory())
	r.doIn(HintsFor(1), 1, "k", r.write("v"))
	kinds, _ := heard(&events, "k")
	if !slices.Equal(kinds, []trace.Kind{trace.Synced}) {
		t.Errorf("heard %v, want synced alone", kinds)
	}
}
