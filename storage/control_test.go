// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

func identity(name string) []byte {
	return wire.AppendIdentityRecord(nil, &wire.Identity{Node: 1, Name: name})
}

func opens(seq uint64) []byte {
	return wire.AppendOpensRecord(nil, &wire.Opens{List: []kv.Open{{Seq: seq, Nonce: 1}}, Confirmed: -1})
}

func TestControlRecordsStayOverARestart(t *testing.T) {
	onEngines(t, func(t *testing.T, c engineCase, e Engine) {
		ctl := OpenControl(e, zapTest(t))
		if _, found, err := ctl.Get(wire.KeyOpens); found || err != nil {
			t.Fatalf("found %t, %v in an empty store", found, err)
		}
		err := ctl.Apply(
			ControlRecord{Key: wire.KeyIdentity, Record: identity("a")},
			ControlRecord{Key: wire.KeyOpens, Record: opens(1)},
		)
		if err != nil {
			t.Fatal(err)
		}
		for seq := uint64(2); seq < 50; seq++ {
			if err := ctl.Put(wire.KeyOpens, opens(seq)); err != nil {
				t.Fatal(err)
			}
			if err := ctl.Tend(); err != nil {
				t.Fatal(err)
			}
		}
		if err := ctl.Delete(wire.KeyIdentity); err != nil {
			t.Fatal(err)
		}
		ctl = OpenControl(c.reopen(t, e), zapTest(t))
		defer ctl.Close()
		record, found, err := ctl.Get(wire.KeyOpens)
		if err != nil || !found {
			t.Fatalf("found %t, %v", found, err)
		}
		if o, err := wire.DecodeOpensRecord(record); err != nil || o.List[0].Seq != 49 {
			t.Errorf("opens are %v, %v; want 49", o, err)
		}
		if _, found, _ := ctl.Get(wire.KeyIdentity); found {
			t.Error("a deleted record is back")
		}
	})
}

func TestControlTellsDamagedFromAbsent(t *testing.T) {
	m := NewMemory()
	ctl := OpenControl(m, zapTest(t))
	if err := ctl.Put(wire.KeyOpens, opens(1)); err != nil {
		t.Fatal(err)
	}
	m.Damage([]byte(wire.KeyOpens), func(b []byte) []byte { return b[:0] })
	if _, found, err := ctl.Get(wire.KeyOpens); found || !errors.Is(err, ErrUnreadable) {
		t.Errorf("found %t, %v; want ErrUnreadable", found, err)
	}
	m.FailRead(1, errors.New("input/output error"))
	if _, found, err := ctl.Get("other"); found || !errors.Is(err, ErrUnreadable) {
		t.Errorf("found %t, %v; want ErrUnreadable", found, err)
	}
}

func part(n uint64) (string, []byte) {
	key := wire.SnapshotPartKey(7, n)
	return key, wire.AppendSnapshotPartRecord(nil, key, []byte{byte(n)})
}

func TestControlShowsTheRecordsOfAPrefixInOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		ctl := OpenControl(e, zapTest(t))
		defer ctl.Close()
		for _, n := range []uint64{3, 1, 2} {
			key, rec := part(n)
			if err := ctl.Put(key, rec); err != nil {
				t.Fatal(err)
			}
		}
		if err := ctl.Put(wire.KeyOpens, opens(1)); err != nil {
			t.Fatal(err)
		}
		if key, _ := part(2); ctl.Delete(key) != nil {
			t.Fatal("a record can not be deleted")
		}
		var got []string
		collect := func(key string, record []byte) error {
			payload, err := wire.DecodeSnapshotPartRecord(key, record)
			got = append(got, fmt.Sprint(payload))
			return err
		}
		if err := ctl.Each(wire.PrefixSnapshotPart, collect); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"[1]", "[3]"}, got); diff != "" {
			t.Errorf("shown (-want +got):\n%s", diff)
		}
		enough := errors.New("enough")
		calls := 0
		err := ctl.Each("", func(string, []byte) error { calls++; return enough })
		if !errors.Is(err, enough) || calls != 1 {
			t.Errorf("%v after %d calls; want the visitor's error after one", err, calls)
		}
	})
}

func TestControlShowsNoDamagedRecord(t *testing.T) {
	m := NewMemory()
	ctl := OpenControl(m, zapTest(t))
	for n := range uint64(3) {
		key, rec := part(n)
		if err := ctl.Put(key, rec); err != nil {
			t.Fatal(err)
		}
	}
	key, _ := part(1)
	m.Damage([]byte(key), func(b []byte) []byte { return b[:len(b)-1] })
	shown := 0
	err := ctl.Each(wire.PrefixSnapshotPart, func(string, []byte) error { shown++; return nil })
	if !errors.Is(err, ErrUnreadable) || shown != 1 {
		t.Errorf("%v after %d records; want ErrUnreadable after one", err, shown)
	}
	m.FailRead(1, errors.New("input/output error"))
	err = ctl.Each("", func(string, []byte) error { return nil })
	if !errors.Is(err, ErrUnreadable) {
		t.Errorf("%v; want ErrUnreadable for a read that failed", err)
	}
}

func TestControlTakesInOneStepWhatItSaysItHasRoomFor(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		ctl := OpenControl(e, zapTest(t))
		defer ctl.Close()
		room, changes := ctl.Room()
		if room < 256<<10 || changes < 1024 {
			t.Fatalf("room for %d bytes, %d changes", room, changes)
		}
		var records []ControlRecord
		for n := uint64(0); len(records) < changes; n++ {
			key := wire.SnapshotPartKey(1, n)
			rec := wire.AppendSnapshotPartRecord(nil, key, make([]byte, 100))
			if room -= len(key) + len(rec) + 48; room < 0 {
				break
			}
			records = append(records, ControlRecord{Key: key, Record: rec})
		}
		if err := ctl.Apply(records...); err != nil {
			t.Errorf("%d records: %v", len(records), err)
		}
	})
}

func TestControlRefusesWhatIsNoRecordOfItsKey(t *testing.T) {
	ctl := OpenControl(NewMemory(), zapTest(t))
	if err := ctl.Put(wire.KeyOpens, identity("a")); !errors.Is(err, wire.ErrRecord) {
		t.Errorf("%v, want ErrRecord", err)
	}
	if err := ctl.Put(wire.KeyOpens, opens(1)); err != nil {
		t.Errorf("a refused record must not stop the store: %v", err)
	}
}

func TestControlStopsAtItsFirstFailedSync(t *testing.T) {
	m := NewMemory()
	ctl := OpenControl(m, zapTest(t))
	if err := ctl.Put(wire.KeyOpens, opens(1)); err != nil {
		t.Fatal(err)
	}
	eio := errors.New("input/output error")
	m.FailSync(1, eio)
	if err := ctl.Put(wire.KeyOpens, opens(2)); !errors.Is(err, ErrFailed) || !errors.Is(err, eio) {
		t.Errorf("%v, want ErrFailed with the cause", err)
	}
	if err := ctl.Put(wire.KeyOpens, opens(3)); !errors.Is(err, ErrFailed) {
		t.Errorf("%v, want ErrFailed", err)
	}
	if _, _, err := ctl.Get(wire.KeyOpens); !errors.Is(err, ErrFailed) {
		t.Errorf("%v, want ErrFailed", err)
	}
	ctl = OpenControl(m.Crash(nil), zapTest(t))
	record, _, err := ctl.Get(wire.KeyOpens)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := wire.DecodeOpensRecord(record); err != nil || o.List[0].Seq != 1 {
		t.Errorf("opens are %v, %v; want what was acknowledged", o, err)
	}
}
