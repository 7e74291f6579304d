// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// mend puts an object in a record's place, as what all other owners hold.
func (l *life) mend(key string, o kv.Object) wire.StoreReply {
	l.t.Helper()
	done := make(chan wire.StoreReply, 1)
	req := l.copying(key, o)
	req.Class = kv.ClassReplicated
	l.Mend(StoreRequest{StoreRequest: req, Done: func(r wire.StoreReply) { done <- r }})
	return <-done
}

// A damaged record is refused to everybody until it is mended; then the key is what the
// others hold, and new dots are of a new incarnation (TRAPS C2).
func TestADamagedRecordIsMended(t *testing.T) {
	for _, size := range []int{1, 200 << 10} { // one record, and a value of its own
		bubble(t, func(t *testing.T) {
			before := fresh(t)
			first := before.put("k", "old", vclock.Context{})
			before.copy("k", foreign(1, strings.Repeat("v", size), kv.Object{}, vclock.Context{}))
			before.damage("k")
			l := begin(t, setup{
				engine: before.stopped().engine, verdict: kv.VerdictConfirmed, past: Past{Stop: StopKilled},
			})
			other := foreign(2, strings.Repeat("w", size), first.Object, vclock.Context{})
			if r := l.merge(l.copying("k", other)); r.Code != wire.ReplicaUnreadable {
				t.Fatalf("a copy over a damaged record: code %d", r.Code)
			}
			if r := l.mend("k", other); r.Code != wire.ReplicaOK {
				t.Fatalf("code %d: %s", r.Code, r.Detail)
			}
			want := values(other)
			if got := values(l.object("k")); !cmp.Equal(got, want) {
				t.Errorf("it holds %d values, want %d", len(got), len(want))
			}
			if second := l.put("k", "new", vclock.Context{}); second.Dot.Actor == first.Dot.Actor {
				t.Error("the incarnation went on, whose dots were lost")
			}
		})
	}
}

// Where the header is whole and a value is not, merging alone would never write it again.
func TestADamagedValueIsMended(t *testing.T) {
	bubble(t, func(t *testing.T) {
		before := fresh(t)
		o := foreign(1, strings.Repeat("v", 200<<10), kv.Object{}, vclock.Context{})
		before.copy("k", o)
		target := before.target("k")
		record := wire.AppendVersionKey(nil, target.Partition, target.Bucket, target.Key,
			o.Versions[0].Dot)
		if !before.engine.Damage(record, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }) {
			t.Fatal("the value has no record of its own")
		}
		l := begin(t, setup{
			engine: before.stopped().engine, verdict: kv.VerdictConfirmed, past: Past{Stop: StopKilled},
		})
		if r := l.read("k"); r.Code != wire.ReplicaUnreadable {
			t.Fatalf("code %d", r.Code)
		}
		if r := l.mend("k", o); r.Code != wire.ReplicaOK {
			t.Fatalf("code %d: %s", r.Code, r.Detail)
		}
		if got := values(l.object("k")); len(got) != 1 || len(got[0]) != 200<<10 {
			t.Errorf("%d values", len(got))
		}
	})
}

// What can be read is merged with, whoever thinks it damaged; and checks are those of any
// copy.
func TestAMendOfAReadableRecordIsAMerge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.put("k", "mine", vclock.Context{})
		if r := l.mend("k", foreign(1, "theirs", kv.Object{}, vclock.Context{})); r.Code != wire.ReplicaOK {
			t.Fatalf("code %d: %s", r.Code, r.Detail)
		}
		if r := l.mend("k", kv.Object{}); r.Code != wire.ReplicaOK {
			t.Fatalf("code %d: %s", r.Code, r.Detail)
		}
		if got := values(l.object("k")); !cmp.Equal(got, []string{"mine", "theirs"}) {
			t.Errorf("%q", got)
		}
	})
}

func TestADamagedRecordOfAKeyThatNobodyHoldsGoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		before := fresh(t)
		before.copy("k", foreign(1, "v", kv.Object{}, vclock.Context{}))
		before.damage("k")
		l := begin(t, setup{
			engine: before.stopped().engine, verdict: kv.VerdictConfirmed, past: Past{Stop: StopKilled},
		})
		if r := l.mend("k", kv.Object{}); r.Code != wire.ReplicaOK {
			t.Fatalf("code %d: %s", r.Code, r.Detail)
		}
		if o := l.object("k"); !o.IsZero() {
			t.Errorf("%q", values(o))
		}
	})
}

// A scrub comes to every record of every bucket, and names those that are damaged.
func TestAScrubReadsEveryRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		const keys = 40
		var damaged []string
		for i := range keys {
			key := fmt.Sprintf("key-%02d", i)
			for _, bucket := range []kv.BucketID{1, 7} {
				req := l.copying(key, foreign(uint64(i+1), "v", kv.Object{}, vclock.Context{}))
				r := l.ring.Load()
				req.Bucket, req.Partition = bucket, r.PartitionOf(bucket, []byte(key))
				if got := l.merge(req); got.Code != wire.ReplicaOK {
					t.Fatalf("code %d: %s", got.Code, got.Detail)
				}
			}
			if i%10 == 3 {
				l.damage(key)
				damaged = append(damaged, key)
			}
		}
		seen, read := []string{}, 0
		for p := range uint16(partitions) {
			var after wire.TreePlace
			for more := true; more; {
				page, err := l.Scrub(p, after, 3)
				if err != nil {
					t.Fatal(err)
				}
				if page.Keys > 3 {
					t.Fatalf("a page of %d keys", page.Keys)
				}
				read += page.Keys
				for _, at := range page.Damaged {
					seen = append(seen, string(at.Key))
				}
				after, more = page.Next, page.More
			}
		}
		slices.Sort(seen)
		if read != 2*keys || !cmp.Equal(seen, damaged) {
			t.Errorf("%d records were read, %q found damaged, want %q", read, seen, damaged)
		}
	})
}
