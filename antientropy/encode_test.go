// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTreesAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := ShapeOf(rapid.Uint64().Draw(t, "seed"), 1<<rapid.IntRange(0, 16).Draw(t, "bits"),
			rapid.Uint16().Draw(t, "partition"))
		tree := drawModel(t).tree(shape)
		for range rapid.IntRange(0, 300).Draw(t, "in one leaf") {
			tree.Change(Leaves-1, Entry{}, Entry{HeldObject, rapid.Uint64().Draw(t, "hash")})
		}
		encoded := tree.Append([]byte("before"))
		read, err := Decode(encoded[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if !read.Equal(tree) {
			t.Fatal("another tree was read")
		}
		checkLevels(t, read)
	})
}

// Trees are stored: these bytes are read for ever.
func TestEncodingIsThatOfTheVector(t *testing.T) {
	tree := New(ShapeOf(seed, 128, 5))
	tree.Change(0, Entry{}, Entry{HeldObject, 0x1122334455667788})
	for i := range 300 {
		held := HeldTombstone
		if i >= 257 {
			held = HeldObject
		}
		tree.Change(9, Entry{}, Entry{held, 1})
	}
	want := "02" + "01" + "0102030405060708" + "00000080" + "0005" +
		"8040" + strings.Repeat("00", 126) + "1122334455667788" + "01" + "0000000000000000" + "ac02" + "81" + "02"
	if got := hex.EncodeToString(tree.Append(nil)); got != want {
		t.Errorf("encoded as\n%s, want\n%s", got, want)
	}
}

func TestWhatIsNoTreeIsRefused(t *testing.T) {
	tree := New(ShapeOf(seed, 128, 5))
	tree.Change(9, Entry{}, Entry{HeldObject, 77})
	good := tree.Append(nil)
	changed := func(at int, to ...byte) []byte {
		b := bytes.Clone(good)
		return append(b[:at], to...)
	}
	last := len(good) - 1
	for name, b := range map[string][]byte{
		"nothing": nil, "a part of the head": good[:20], "no leaf": good[:headSize],
		"a part of a hash": good[:last-4], "no count": good[:last-1],
		"too much": append(bytes.Clone(good), 0), "another format": append([]byte{1}, good[1:]...),
		"a count of 0": changed(last-1, 0, 0), "a long count": changed(last-1, 0x81, 0, 0),
		"a count that never ends":      changed(last-1, 0x80),
		"a huge count":                 changed(last-1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0),
		"more tombstones than entries": changed(last, 2), "no tombstones": changed(last),
		"a long number of tombstones": changed(last, 0x81, 0),
	} {
		if _, err := Decode(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	tree := New(ShapeOf(seed, 128, 5))
	f.Add(tree.Append(nil))
	tree.Change(9, Entry{}, Entry{HeldObject, 77})
	tree.Change(1000, Entry{}, Entry{HeldObject, 78})
	f.Add(tree.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := Decode(b)
		if err != nil {
			return
		}
		if again := tree.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("%x was read as %x", b, again)
		}
	})
}
