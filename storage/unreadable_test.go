// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// damages are what can become of a record.
func damages() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"empty":      func([]byte) []byte { return nil },
		"cut off":    func(b []byte) []byte { return b[:len(b)-1] },
		"first byte": func(b []byte) []byte { b[0] ^= 1; return b },
		"a bit":      func(b []byte) []byte { b[len(b)/2] ^= 0x10; return b },
		"last byte":  func(b []byte) []byte { b[len(b)-1] ^= 0x80; return b },
		"another's": func([]byte) []byte {
			key := recordKey("another")
			o, _ := kv.Object{}.Put(kv.Version{
				Dot: vclock.Dot{Actor: 1<<48 | 1, Counter: 1}, Kind: kv.KindValue, Value: []byte("x"),
			}.Sealed(), vclock.Context{})
			return wire.AppendObjectRecord(nil, key, &o)
		},
	}
}

// TestADamagedRecordIsUnreadableNeverAbsent is TRAPS C2 for what the disk gives back.
func TestADamagedRecordIsUnreadableNeverAbsent(t *testing.T) {
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			m := NewMemory()
			cfg := testConfig()
			cfg.CacheBytes = 0
			r := start(t, cfg, m)
			mustDo(t, r.overwrite("k", "value"))
			if !m.Damage(recordKey("k"), damage) {
				t.Fatal("there is no record to damage")
			}
			checkUnreadable(t, r)
			// A copy from a peer repairs it.
			object, err := kv.Object{}.Put(r.version("repaired"), vclock.Context{})
			if err != nil {
				t.Fatal(err)
			}
			mustDo(t, r.do("k", func(Current) Next { return Put(object, nil, nil) }))
			if got, state := r.values("k"); state != StatePresent || got[0] != "repaired" {
				t.Errorf("after the repair: %q, %s", got, state)
			}
		})
	}
}

func checkUnreadable(t *testing.T, r *rig) {
	t.Helper()
	check := func(how string, c Current, err error) {
		t.Helper()
		if err != nil || c.State != StateUnreadable || !errors.Is(c.Err, ErrUnreadable) {
			t.Errorf("%s: %s, %v %v; want unreadable", how, c.State, c.Err, err)
		}
		if !c.Object.IsZero() {
			t.Errorf("%s: an unreadable object has content", how)
		}
	}
	for _, mode := range []Mode{ModeFull, ModeBare} {
		c, err := r.Read(partitionOf("k"), 1, []byte("k"), mode)
		check(fmt.Sprintf("read in mode %d", mode), c, err)
		entries, _, err := r.Scan(partitionOf("k"), 1, nil, nil, 10, 1<<20, mode)
		if err != nil || len(entries) != 1 {
			t.Errorf("scan: %d entries, %v; a key that can not be read is an entry", len(entries), err)
			continue
		}
		check("scan", entries[0].Current, nil)
	}
	var c Current
	mustDo(t, r.do("k", look(&c)))
	check("operation", c, nil)
	n := 0
	err := r.Fold(partitionOf("k"), func(_ kv.BucketID, key []byte, c Current) bool {
		n++
		check("fold", c, nil)
		return true
	})
	if err != nil || n != 1 {
		t.Errorf("fold shows %d objects, %v; want one", n, err)
	}
}

// TestADamagedValueOfALargeObjectIsUnreadable damages, and removes, the record of one
// value: the header alone must not pass for the object.
func TestADamagedValueOfALargeObjectIsUnreadable(t *testing.T) {
	all := damages()
	all["missing"] = nil
	for name, damage := range all {
		t.Run(name, func(t *testing.T) {
			m := NewMemory()
			cfg := testConfig()
			cfg.CacheBytes = 0
			r := start(t, cfg, m)
			mustDo(t, r.overwrite("k", big("a", 100<<10)))
			at := placeOf(0, partitionOf("k"), 1, []byte("k"))
			key := at.versionKey(vclock.Dot{Actor: 1<<48 | 7, Counter: 1})
			if damage == nil {
				m.forget(key)
			} else if !m.Damage(key, damage) {
				t.Fatal("there is no record to damage")
			}
			if got, state := r.values("k"); state != StateUnreadable {
				t.Errorf("%d values, %s; want unreadable", len(got), state)
			}
			var c Current
			mustDo(t, r.do("k", func(now Current) Next {
				if now.State == StatePresent && !now.Full {
					return Load()
				}
				return look(&c)(now)
			}))
			if c.State != StateUnreadable {
				t.Errorf("loaded: %s, want unreadable", c.State)
			}
		})
	}
}

// forget removes a key with all its versions, as a lost block would.
func (m *Memory) forget(key []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.content.Forget(string(key))
}

// TestARepairLeavesNoValuesBehind repairs a large object whose header is damaged: the
// store can not know its values by the header any more.
func TestARepairLeavesNoValuesBehind(t *testing.T) {
	m := NewMemory()
	cfg := testConfig()
	cfg.CacheBytes = 0
	r := start(t, cfg, m)
	mustDo(t, r.overwrite("k", big("a", 100<<10)))
	// Its key begins with the other's, and its values must stay.
	longer := ""
	for i := 0; longer == "" || partitionOf(longer) != partitionOf("k"); i++ {
		longer = fmt.Sprintf("k%d", i)
	}
	mustDo(t, r.overwrite(longer, big("b", 100<<10)))
	m.Damage(recordKey("k"), func([]byte) []byte { return nil })
	object, err := kv.Object{}.Put(r.version("repaired"), vclock.Context{})
	if err != nil {
		t.Fatal(err)
	}
	mustDo(t, r.do("k", func(Current) Next { return Put(object, nil, nil) }))
	if objects, versions := records(t, m); objects != 2 || versions != 1 {
		t.Errorf("%d objects and %d values; want 2 and the one of the other key", objects, versions)
	}
	if got, _ := r.values(longer); len(got) != 1 || got[0] != big("b", 100<<10) {
		t.Error("the other key lost its value")
	}
}
