// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"testing"

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
