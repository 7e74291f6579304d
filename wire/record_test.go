// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

func TestRecordOpensUnderItsKeyOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key, payload := drawBytes(t, "key", 0, 40), drawBytes(t, "payload", 0, 300)
		f := Format(rapid.Uint8Range(1, uint8(formatEnd)-1).Draw(t, "format"))
		rec := AppendRecord([]byte("before"), f, key, payload)[len("before"):]
		if len(rec) != RecordOverhead+len(payload) {
			t.Fatalf("%d bytes for %d of payload", len(rec), len(payload))
		}
		gotFormat, got, err := OpenRecord(key, rec)
		if err != nil || gotFormat != f || !bytes.Equal(got, payload) {
			t.Fatalf("got %v %x %v", gotFormat, got, err)
		}
		other := append(key[:len(key):len(key)], 0)
		if _, _, err := OpenRecord(other, rec); !errors.Is(err, ErrRecord) {
			t.Fatalf("opens under another key: %v", err)
		}
		// Every single bit that flips, and every byte that is lost, is found.
		bit := rapid.IntRange(0, 8*len(rec)-1).Draw(t, "bit")
		flipped := bytes.Clone(rec)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, _, err := OpenRecord(key, flipped); !errors.Is(err, ErrRecord) {
			t.Fatalf("opens with bit %d flipped: %v", bit, err)
		}
		cut := rapid.IntRange(0, len(rec)-1).Draw(t, "cut")
		if _, _, err := OpenRecord(key, rec[:cut]); !errors.Is(err, ErrRecord) {
			t.Fatalf("opens with %d of %d bytes: %v", cut, len(rec), err)
		}
		if _, _, err := OpenRecord(key, append(rec, 0)); !errors.Is(err, ErrRecord) {
			t.Fatalf("opens with a byte too many: %v", err)
		}
	})
}

func TestEmptyBytesAreNoRecord(t *testing.T) {
	t.Parallel()
	// The engine answers a value that it can not read with an empty one and no error.
	for _, rec := range [][]byte{nil, {}, make([]byte, RecordOverhead), make([]byte, 64)} {
		if _, _, err := OpenRecord(nil, rec); !errors.Is(err, ErrRecord) {
			t.Errorf("%d zero bytes: %v", len(rec), err)
		}
	}
}

func TestRecordOfALaterFormatIsRefused(t *testing.T) {
	t.Parallel()
	for _, f := range []Format{0, formatEnd, 255} {
		rec := AppendRecord(nil, f, []byte("k"), []byte("payload"))
		if _, _, err := OpenRecord([]byte("k"), rec); !errors.Is(err, ErrRecord) {
			t.Errorf("format %d: %v", f, err)
		}
	}
}

func TestObjectRecordsComeBackWholeOrInParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawObject(t)
		key := AppendObjectKey(nil, 7, kv.DefaultBucket, drawKey(t))
		got, whole, err := DecodeObjectRecord(key, AppendObjectRecord(nil, key, &want))
		if err != nil || !whole {
			t.Fatalf("whole %v, %v", whole, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		got, whole, err = DecodeObjectRecord(key, AppendHeaderRecord(nil, key, &want))
		if err != nil || whole {
			t.Fatalf("whole %v, %v", whole, err)
		}
		for i := range got.Versions {
			v := &want.Versions[i]
			key := AppendVersionKey(nil, 7, kv.DefaultBucket, []byte("k"), v.Dot)
			got.Versions[i], err = DecodeVersionRecord(key, AppendVersionRecord(nil, key, v))
			if err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestObjectRecordOfAnotherKindIsRefused(t *testing.T) {
	t.Parallel()
	key := []byte("k")
	bare := goldenObject().WithoutValues()
	o := goldenObject()
	cases := []struct {
		name string
		rec  []byte
		want error
	}{
		{"a journal", AppendJournalRecord(nil, key, nil), ErrRecord},
		{"a version", AppendVersionRecord(nil, key, &o.Versions[0]), ErrRecord},
		{"a whole object without a value", AppendObjectRecord(nil, key, &bare), ErrObject},
		{"no object inside", AppendRecord(nil, FormatObject, key, []byte{0xc0}), ErrObject},
		{"no header inside", AppendRecord(nil, FormatHeader, key, nil), ErrObject},
	}
	for _, c := range cases {
		if _, _, err := DecodeObjectRecord(key, c.rec); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	versions := [][]byte{
		AppendVersionRecord(nil, key, &bare.Versions[0]),
		AppendRecord(nil, FormatVersion, key, []byte{0x92, 3}),
	}
	for _, rec := range versions {
		if _, err := DecodeVersionRecord(key, rec); !errors.Is(err, ErrObject) {
			t.Errorf("version %x: %v", rec, err)
		}
	}
	if _, err := DecodeVersionRecord(key, AppendObjectRecord(nil, key, &o)); !errors.Is(err, ErrRecord) {
		t.Errorf("an object is read as a version: %v", err)
	}
}

func TestControlRecordsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := Identity{
			Cluster: goldenCluster(), Node: kv.NodeID(rapid.Uint16().Draw(t, "node")),
			Name: drawName(t, "name"), Created: drawMilli(t, "created"),
		}
		gotID, err := DecodeIdentityRecord(AppendIdentityRecord(nil, &id))
		if err != nil || gotID != id {
			t.Fatalf("identity: got %v, %v", gotID, err)
		}
		opens := drawOpens(t)
		gotOpens, err := DecodeOpensRecord(AppendOpensRecord(nil, &opens))
		if diff := cmp.Diff(opens, gotOpens, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("opens: %v %s", err, diff)
		}
		mark := CleanMark{
			BootID: drawText(t, "boot"), Stamp: kv.StampAt(drawMilli(t, "stamp")),
			TreeParts: rapid.Uint32().Draw(t, "parts"),
		}
		mark.Actors = rapid.SliceOf(rapid.Custom(func(t *rapid.T) ActorMark {
			d := drawDot(t)
			return ActorMark{
				Partition: rapid.Uint16().Draw(t, "partition"), Role: drawRole(t),
				Actor: d.Actor, Counter: d.Counter - 1,
			}
		})).Draw(t, "actors")
		gotMark, err := DecodeCleanMarkRecord(AppendCleanMarkRecord(nil, &mark))
		if diff := cmp.Diff(mark, gotMark, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("clean mark: %v %s", err, diff)
		}
		trees := TreePart{
			Open:  kv.Open{Seq: rapid.Uint64().Draw(t, "seq"), Nonce: rapid.Uint64().Draw(t, "nonce")},
			Trees: rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "trees"),
		}
		gotTrees, err := DecodeTreePartRecord("k", AppendTreePartRecord(nil, "k", &trees))
		if diff := cmp.Diff(trees, gotTrees, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("trees: %v %s", err, diff)
		}
	})
}

// TestCleanMarksFromBeforeTreesWereKeptAreRead: as of openings.
func TestCleanMarksFromBeforeTreesWereKeptAreRead(t *testing.T) {
	t.Parallel()
	want := CleanMark{BootID: "b", Stamp: 7}
	record := AppendCleanMarkRecord(nil, &want)
	record = record[:len(record)-1] // without the last field
	record[RecordOverhead] = 0x93
	SealRecord(record, FormatCleanMark, []byte(KeyCleanMark))
	got, err := DecodeCleanMarkRecord(record)
	if err != nil || !cmp.Equal(got, want, cmpopts.EquateEmpty()) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestOpensFromBeforeRefusalsWereKeptAreRead: a directory outlives the release that wrote it.
func TestOpensFromBeforeRefusalsWereKeptAreRead(t *testing.T) {
	t.Parallel()
	want := Opens{List: []kv.Open{{Seq: 1, Nonce: 2}}, Confirmed: 0, BootID: "b"}
	record := AppendOpensRecord(nil, &want)
	record = record[:len(record)-1] // without the last field
	record[RecordOverhead] = 0x93
	SealRecord(record, FormatOpens, []byte(KeyOpens))
	if got, err := DecodeOpensRecord(record); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestControlRecordsThatSayNonsenseAreRefused(t *testing.T) {
	t.Parallel()
	opens := []Opens{
		{List: []kv.Open{{Seq: 2}, {Seq: 1}}, Confirmed: 0},
		{List: []kv.Open{{Seq: 2}, {Seq: 2}}, Confirmed: 0},
		{List: []kv.Open{{Seq: 1}}, Confirmed: 1},
		{Confirmed: 0},
	}
	for _, o := range opens {
		if _, err := DecodeOpensRecord(AppendOpensRecord(nil, &o)); !errors.Is(err, ErrRecord) {
			t.Errorf("%+v: got %v, want ErrRecord", o, err)
		}
	}
	identity := AppendIdentityRecord(nil, &Identity{Name: "n"})
	if _, err := DecodeOpensRecord(identity); !errors.Is(err, ErrRecord) {
		t.Errorf("an identity is read as openings: %v", err)
	}
	marks := []ActorMark{{Role: 0}, {Role: kv.RoleOwner, Counter: 1 << 63}}
	for _, m := range marks {
		rec := AppendCleanMarkRecord(nil, &CleanMark{Actors: []ActorMark{m}})
		if _, err := DecodeCleanMarkRecord(rec); !errors.Is(err, ErrRecord) {
			t.Errorf("%+v: got %v, want ErrRecord", m, err)
		}
	}
}

func TestJournalComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOf(rapid.Custom(func(t *rapid.T) JournalEntry {
			return JournalEntry{
				Request: drawRequestID(t), Dot: drawDot(t),
				KeyHash: rapid.Uint64().Draw(t, "hash"), At: drawMilli(t, "at"),
			}
		})).Draw(t, "entries")
		seq := rapid.Uint64().Draw(t, "seq")
		key := AppendJournalKey(nil, seq)
		if got, err := ParseJournalKey(key); err != nil || got != seq {
			t.Fatalf("key: %d, %v", got, err)
		}
		rec := AppendJournalRecord(nil, key, entries)
		got, err := DecodeJournalRecord(nil, key, rec)
		if diff := cmp.Diff(entries, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	})
	rec := AppendRecord(nil, FormatJournal, nil, make([]byte, journalEntrySize+1))
	if _, err := DecodeJournalRecord(nil, nil, rec); !errors.Is(err, ErrRecord) {
		t.Errorf("a part of an entry is accepted: %v", err)
	}
}

func TestRecordKeysSortByPartitionBucketAndKey(t *testing.T) {
	t.Parallel()
	type parts struct {
		partition uint16
		bucket    kv.BucketID
		key       []byte
	}
	draw := rapid.Custom(func(t *rapid.T) parts {
		return parts{
			rapid.Uint16Range(250, 260).Draw(t, "partition"),
			kv.BucketID(rapid.Uint32Range(254, 257).Draw(t, "bucket")), drawBytes(t, "key", 1, 4),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		x := AppendObjectKey(nil, a.partition, a.bucket, a.key)
		y := AppendObjectKey(nil, b.partition, b.bucket, b.key)
		want := 0
		switch {
		case a.partition != b.partition:
			want = int(a.partition) - int(b.partition)
		case a.bucket != b.bucket:
			want = int(a.bucket) - int(b.bucket)
		default:
			want = bytes.Compare(a.key, b.key)
		}
		if got := bytes.Compare(x, y); got < 0 != (want < 0) || got > 0 != (want > 0) {
			t.Fatalf("%x and %x compare as %d, want %d", x, y, got, want)
		}
		got, err := ParseObjectKey(x)
		if err != nil || got.Partition != a.partition || got.Bucket != a.bucket ||
			!bytes.Equal(got.Key, a.key) {
			t.Fatalf("got %v %v", got, err)
		}
		d := drawDot(t)
		version := AppendVersionKey(nil, a.partition, a.bucket, a.key, d)
		got, gotDot, err := ParseVersionKey(version)
		if err != nil || !bytes.Equal(got.Key, a.key) || gotDot != d {
			t.Fatalf("got %v %v %v", got, gotDot, err)
		}
		inside := bytes.HasPrefix(x, AppendObjectPartition(nil, b.partition))
		if inside != (a.partition == b.partition) {
			t.Fatalf("%x in partition %d: %v", x, b.partition, inside)
		}
		if !bytes.HasPrefix(version, AppendVersionPartition(nil, a.partition)) {
			t.Fatalf("%x is outside of its partition", version)
		}
	})
}

func TestBytesThatAreNoRecordKeyAreRefused(t *testing.T) {
	t.Parallel()
	object := AppendObjectKey(nil, 1, 1, []byte("k"))
	version := AppendVersionKey(nil, 1, 1, []byte("k"), vclock.Dot{Actor: 1, Counter: 1})
	empty := AppendObjectKey(nil, 1, 1, nil)
	for _, b := range [][]byte{nil, {'o'}, empty, version} {
		if _, err := ParseObjectKey(b); !errors.Is(err, ErrRecordKey) {
			t.Errorf("object %x: %v", b, err)
		}
	}
	for _, b := range [][]byte{nil, object, append(empty, make([]byte, dotSize)...)} {
		if _, _, err := ParseVersionKey(b); !errors.Is(err, ErrRecordKey) {
			t.Errorf("version %x: %v", b, err)
		}
	}
	for _, b := range [][]byte{nil, AppendJournalPrefix(nil), version[:9], make([]byte, 9)} {
		if _, err := ParseJournalKey(b); !errors.Is(err, ErrRecordKey) {
			t.Errorf("journal %x: %v", b, err)
		}
	}
}

func TestPrefixEndIsTheLeastKeyAbove(t *testing.T) {
	t.Parallel()
	cases := []struct{ prefix, want []byte }{
		{nil, nil},
		{[]byte{0xff, 0xff}, nil},
		{[]byte("a"), []byte("b")},
		{[]byte{'a', 0xff}, []byte("b")},
		{[]byte{'o', 0, 0xfe}, []byte{'o', 0, 0xff}},
	}
	for _, c := range cases {
		before := bytes.Clone(c.prefix)
		if got := PrefixEnd(c.prefix); !bytes.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%x: got %x, want %x", c.prefix, got, c.want)
		}
		if !bytes.Equal(before, c.prefix) {
			t.Errorf("%x was changed", before)
		}
	}
}
