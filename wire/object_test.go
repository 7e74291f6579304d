// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

func TestObjectsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawObject(t)
		b := AppendObject(nil, &want)
		got, err := DecodeObject(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		if got.Digest() != want.Digest() {
			t.Fatal("the digest changed")
		}
		bare, err := DecodeObjectBare(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.WithoutValues(), bare, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestObjectsWithoutValuesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := drawObject(t)
		want := whole.WithoutValues()
		for _, b := range [][]byte{AppendObjectBare(nil, &whole), AppendObject(nil, &want)} {
			got, err := DecodeObject(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestObjectThatBreaksAnInvariantIsRefused(t *testing.T) {
	t.Parallel()
	o := goldenObject()
	first, last := o.Versions[0], o.Versions[len(o.Versions)-1]
	tombstone := kv.Version{Dot: first.Dot, Kind: kv.KindTombstone, Fence: o.Fence}.Sealed()
	with := func(versions ...kv.Version) kv.Object {
		return kv.Object{Context: o.Context, Versions: versions, Fence: o.Fence}
	}
	changed := func(change func(*kv.Version)) kv.Object {
		v := first
		change(&v)
		return with(v)
	}
	cases := []struct {
		name string
		o    kv.Object
	}{
		{"I1: a dot outside of the context", kv.Object{
			Context: vclock.ContextOf(last.Dot), Versions: []kv.Version{first}, Fence: o.Fence,
		}},
		{"I2: out of order", with(last, first)},
		{"I2: twice", with(first, first)},
		{"I3: another fence than the sealed one", kv.Object{
			Context: o.Context, Versions: o.Versions, Fence: o.Fence + 1,
		}},
		{"value changed", changed(func(v *kv.Version) { v.Value = []byte("other") })},
		{"stamp changed", changed(func(v *kv.Version) { v.Stamp++ })},
		{"expiry changed", changed(func(v *kv.Version) { v.ExpiresAt++ })},
		{"request id changed", changed(func(v *kv.Version) { v.Request[3]++ })},
		{"checksum changed", changed(func(v *kv.Version) { v.Checksum++ })},
		{"no kind", changed(func(v *kv.Version) { v.Kind = 0 })},
		{"unknown kind", changed(func(v *kv.Version) { v.Kind = kv.KindTombstone + 1 })},
		{"counter 0", changed(func(v *kv.Version) { v.Dot.Counter = 0 })},
		{"counter out of range", changed(func(v *kv.Version) { v.Dot.Counter = 1 << 63 })},
		{"expiry before 1970", changed(func(v *kv.Version) { v.ExpiresAt = -1 })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := DecodeObject(AppendObject(nil, &c.o)); !errors.Is(err, ErrObject) {
				t.Errorf("got %v, want ErrObject", err)
			}
		})
	}

	good := with(tombstone)
	if _, err := DecodeObject(AppendObject(nil, &good)); err != nil {
		t.Fatalf("a tombstone is refused: %v", err)
	}
	b := AppendObject(nil, &good)
	for name, content := range map[string][]byte{
		"tombstone with a value": {0xc4, 0},
		"tombstone with a size":  {5},
		"tombstone with a map":   {0x80},
	} {
		bad := append(b[:len(b)-1:len(b)-1], content...)
		if _, err := DecodeObject(bad); !errors.Is(err, ErrObject) {
			t.Errorf("%s: got %v, want ErrObject", name, err)
		}
	}
}

func TestBareObjectSharesNoMemoryWithItsBytes(t *testing.T) {
	t.Parallel()
	o := goldenObject()
	b := AppendObject(nil, &o)
	got, err := DecodeObjectBare(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if diff := cmp.Diff(o.WithoutValues(), got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestDecodedValuesAliasTheBytesAndEndWhereTheyEnd(t *testing.T) {
	t.Parallel()
	o := goldenObject()
	b := AppendObject(nil, &o)
	got, err := DecodeObject(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got.Versions {
		if cap(v.Value) != len(v.Value) {
			t.Errorf("%s: an append would overwrite what follows", v.Dot)
		}
	}
}
