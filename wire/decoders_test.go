// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

// decoder is one of the package's decoders: again encodes what it decoded.
type decoder struct {
	name  string
	again func(b []byte) ([]byte, error)
}

func pair[T any](
	name string, encode func([]byte, *T) []byte, decode func([]byte, *T) error,
) decoder {
	return decoder{name, func(b []byte) ([]byte, error) {
		var v T
		if err := decode(b, &v); err != nil {
			return nil, err
		}
		return encode(nil, &v), nil
	}}
}

// inRecord is a decoder of a record whose payload the bytes are.
func inRecord[T any](
	f Format, key string, encode func([]byte, *T) []byte, decode func([]byte) (T, error),
) decoder {
	return decoder{"record " + f.String(), func(b []byte) ([]byte, error) {
		v, err := decode(AppendRecord(nil, f, []byte(key), b))
		if err != nil {
			return nil, err
		}
		return encode(nil, &v)[RecordOverhead:], nil
	}}
}

func everyDecoder() []decoder {
	all := append(messageDecoders(), recordDecoders()...)
	all = append(append(all, lockDecoders()...), metaDecoders()...)
	return slices.Concat(all, treeDecoders(), repairDecoders(), purgeDecoders(),
		handoffDecoders(), hintsDecoders())
}

func messageDecoders() []decoder {
	return []decoder{
		pair("hello", AppendHelloRequest, DecodeHelloRequest),
		pair("empty", AppendEmptyRequest, DecodeEmptyRequest),
		pair("name", AppendNameRequest, DecodeNameRequest),
		pair("get", AppendGetRequest, DecodeGetRequest),
		pair("put", AppendPutRequest, DecodePutRequest),
		pair("delete", AppendDeleteRequest, DecodeDeleteRequest),
		pair("get_many", AppendGetManyRequest, DecodeGetManyRequest),
		pair("scan", AppendKeyScanRequest, DecodeKeyScanRequest),
		pair("hello result", AppendHelloResult, DecodeHelloResult),
		pair("get result", AppendGetResult, DecodeGetResult),
		pair("put result", AppendPutResult, DecodePutResult),
		pair("delete result", AppendDeleteResult, DecodeDeleteResult),
		pair("get_many result", AppendGetManyResult, DecodeGetManyResult),
		pair("scan result", AppendKeyScanResult, DecodeKeyScanResult),
		pair("info result", AppendClusterInfoResult, DecodeClusterInfoResult),
		pair("status result", AppendClusterStatusResult, DecodeClusterStatusResult),
		pair("bucket", AppendBucket, DecodeBucket),
		pair("buckets", AppendBucketListResult, DecodeBucketListResult),
		pair("peer hello", AppendPeerHello, DecodePeerHello),
		pair("store", AppendStoreRequest, DecodeStoreRequest),
		pair("store reply", AppendStoreReply, DecodeStoreReply),
		pair("read", AppendReadRequest, DecodeReadRequest),
		pair("read reply", AppendReadReply, DecodeReadReply),
		pair("peer scan", AppendScanRequest, DecodeScanRequest),
		pair("peer scan reply", AppendScanReply, DecodeScanReply),
		pair("forward", AppendForwardRequest, DecodeForwardRequest),
		pair("forward reply", AppendForwardReply, DecodeForwardReply),
		pair("fence", AppendFenceRequest, DecodeFenceRequest),
		pair("fence reply", AppendFenceReply, DecodeFenceReply),
		{"empty result", func(b []byte) ([]byte, error) {
			return AppendEmptyResult(nil), DecodeEmptyResult(b)
		}},
		{"ping", func(b []byte) ([]byte, error) { return AppendPeerPing(nil), DecodePeerPing(b) }},
		pair("object", AppendObject, func(b []byte, into *kv.Object) (err error) {
			*into, err = DecodeObject(b)
			return err
		}),
		pair("bare object", AppendObjectBare, func(b []byte, into *kv.Object) (err error) {
			*into, err = DecodeObjectBare(b)
			return err
		}),
	}
}

func recordDecoders() []decoder {
	const key = "k"
	object := func(b []byte) (kv.Object, error) {
		o, _, err := DecodeObjectRecord([]byte(key), b)
		return o, err
	}
	return []decoder{
		inRecord(FormatObject, key, func(dst []byte, o *kv.Object) []byte {
			return AppendObjectRecord(dst, []byte(key), o)
		}, object),
		inRecord(FormatHeader, key, func(dst []byte, o *kv.Object) []byte {
			return AppendHeaderRecord(dst, []byte(key), o)
		}, object),
		inRecord(FormatVersion, key, func(dst []byte, v *kv.Version) []byte {
			return AppendVersionRecord(dst, []byte(key), v)
		}, func(b []byte) (kv.Version, error) { return DecodeVersionRecord([]byte(key), b) }),
		inRecord(FormatJournal, key, func(dst []byte, entries *[]JournalEntry) []byte {
			return AppendJournalRecord(dst, []byte(key), *entries)
		}, func(b []byte) ([]JournalEntry, error) {
			return DecodeJournalRecord(nil, []byte(key), b)
		}),
		inRecord(FormatIdentity, KeyIdentity, AppendIdentityRecord, DecodeIdentityRecord),
		inRecord(FormatOpens, KeyOpens, AppendOpensRecord, DecodeOpensRecord),
		inRecord(FormatCleanMark, KeyCleanMark, AppendCleanMarkRecord, DecodeCleanMarkRecord),
		inRecord(FormatTreePart, key, func(dst []byte, p *TreePart) []byte {
			return AppendTreePartRecord(dst, key, p)
		}, func(b []byte) (TreePart, error) { return DecodeTreePartRecord(key, b) }),
		inRecord(FormatPurges, PurgesKey(42), AppendPurgesRecord, func(b []byte) (Purges, error) {
			return DecodePurgesRecord(PurgesKey(42), b)
		}),
		inRecord(FormatLife, KeyLife, AppendLifeRecord, DecodeLifeRecord),
		inRecord(FormatFences, KeyFences, func(dst []byte, f *[]PlacementFence) []byte {
			return AppendFencesRecord(dst, *f)
		}, DecodeFencesRecord),
		inRecord(FormatRefill, KeyRefill, func(dst []byte, s *[]RefillSource) []byte {
			return AppendRefillRecord(dst, *s)
		}, DecodeRefillRecord),
	}
}

// FuzzDecode gives any bytes to every decoder. What is accepted must come back from
// its own encoding unchanged, and everything from nothing must end without a panic.
func FuzzDecode(f *testing.F) {
	for _, group := range goldenGroups() {
		for _, g := range group.vectors {
			f.Add(g.bytes)
			f.Add(g.plain)
		}
	}
	for _, bomb := range decoderBombs(64) {
		f.Add(bomb)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		for _, d := range everyDecoder() {
			once, err := d.again(b)
			if !bytes.Equal(b, before) {
				t.Fatalf("%s changed its input", d.name)
			}
			if err != nil {
				continue
			}
			twice, err := d.again(once)
			if err != nil {
				t.Fatalf("%s: %x was accepted, its own encoding %x is not: %v", d.name, b, once, err)
			}
			if !bytes.Equal(once, twice) {
				t.Fatalf("%s: %x came back as %x", d.name, once, twice)
			}
		}
		_, _, _ = OpenRecord(before, b)
		_, _ = OpenScanCursor(b, 1, nil)
		_, _ = OpenNameCursor(b, MethodLockList, "")
		_, _ = ParseError(string(b))
	})
}

// decoderBombs are short heads that announce much, each followed by size bytes that keep a
// decoder believing.
func decoderBombs(size int) [][]byte {
	var all [][]byte
	fill := [][]byte{
		{0xc0}, {0x00}, {0x80}, {0x90}, {0xa0}, {0xc4, 0x00}, {0x91}, {0x81, 0xa0}, {0x82, 0xa1, 'x'},
		{0xa1, 'x'}, {0xc3}, {0x92, 0x00, 0x00}, {0x93, 0x00, 0x00, 0xa0},
	}
	count := binary.BigEndian.AppendUint32(nil, uint32(size/2))
	heads := [][]byte{
		{}, {0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff},
		{0xc6, 0xff, 0xff, 0xff, 0xff}, {0xc9, 0xff, 0xff, 0xff, 0xff, 0x01},
		append([]byte{0xdd}, count...), append([]byte{0xdf}, count...),
	}
	// Lists inside messages, whose elements are dear to hold and cheap to write.
	for _, f := range []field{
		fieldKeys, fieldSiblings, fieldResults, fieldEntries, fieldMembers, fieldBuckets,
		fieldPreference, fieldProto, fieldFeatures, fieldSessions, fieldLocks, fieldHolders,
		fieldWaiters, fieldBehind, fieldNodes, fieldBacklog, fieldMissing,
	} {
		name := appendStr(nil, f.String())
		heads = append(heads,
			append(append(append([]byte{0x81}, name...), 0xdd), count...),
			append(append(append([]byte{0x91, 0x81}, name...), 0xdd), count...))
	}
	standing := appendStanding(nil, &Standing{Role: kv.RoleOwner})
	heads = append(heads,
		append([]byte{0x93, 0xc4, 2, 0, 0, 0x00, 0xdd}, count...), // an object's versions
		append(append(append([]byte{0x95}, standing...), 1, 0xa0, 0xdd), count...),
		append([]byte{0x92, 0xdd}, count...), append([]byte{0x93, 0xa0, 0xdd}, count...))
	heads = append(append(heads, metaBombs(count)...), treeBombs(count)...)
	heads = append(heads, purgeBombs(count)...)
	heads = append(heads, handoffBombs(count)...)
	for _, head := range heads {
		for _, f := range fill {
			b := bytes.Clone(head)
			for len(b) < size {
				b = append(b, f...)
			}
			all = append(all, b)
		}
	}
	return all
}

// Not parallel: the memory that is counted is the process's.
func TestNoBytesCostMoreThanASmallMultipleOfTheirNumber(t *testing.T) {
	const size, multiple, slack = 16 << 10, 16, 4 << 10
	all := decoderBombs(size)
	var before, after runtime.MemStats
	for _, d := range everyDecoder() {
		runtime.ReadMemStats(&before)
		for i, bomb := range all {
			_, err := d.again(bomb)
			runtime.ReadMemStats(&after)
			if spent := after.TotalAlloc - before.TotalAlloc; spent > multiple*size+slack {
				t.Errorf("%s, bomb %d (%x...): %d bytes for %d; error %v",
					d.name, i, bomb[:12], spent, len(bomb), err)
			}
			before = after
		}
	}
}

func ExampleFormatError() {
	fmt.Println(FormatError(CodeQuorum, "need 2, got 1: n2 (timed out)"))
	// Output: QUORUM: need 2, got 1: n2 (timed out)
}
