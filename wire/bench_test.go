// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// Messages of a put and a get of 1 KiB, as a client library sends them.

func benchKey() []byte { return []byte("user/00000000000123") }

func benchPut() PutRequest {
	return PutRequest{
		Common: defaults(), Bucket: kv.DefaultBucketName, Key: benchKey(),
		Value: make([]byte, 1<<10),
		WriteOptions: WriteOptions{
			Context: goldenToken(), RequestID: goldenRequestID(),
		},
	}
}

func benchObject() kv.Object {
	d := vclock.Dot{Actor: goldenActor1, Counter: 70_000}
	v := kv.Version{
		Dot: d, Kind: kv.KindValue, Value: make([]byte, 1<<10), Stamp: kv.StampAt(goldenMS),
		Request: goldenRequestID(),
	}
	seen := vclock.VectorOf(d, vclock.Dot{Actor: goldenActor2, Counter: 900})
	return kv.Object{Context: seen, Versions: []kv.Version{v.Sealed()}}
}

func benchStore() StoreRequest {
	return StoreRequest{
		Target: goldenTarget(), Role: kv.RoleOwner, Class: kv.ClassClientWrite,
		Request: goldenRequestID(), Object: benchObject(),
	}
}

func benchGetResult() GetResult {
	return GetResult{
		Found: true, Context: goldenToken(), RingVersion: 4,
		Siblings: []Sibling{{Value: make([]byte, 1<<10), TimestampMS: goldenMS}},
	}
}

func benchReadReply() ReadReply {
	return ReadReply{Standing: goldenStanding(), Code: ReplicaOK, Object: benchObject()}
}

type codec struct {
	name           string
	encode         func([]byte) []byte
	decode         func([]byte) error
	encodes, reads float64 // allocations that each may cost
}

func codecOf[T any](
	name string, v T, reads float64,
	encode func([]byte, *T) []byte, decode func([]byte, *T) error,
) codec {
	into := new(T)
	return codec{
		name:   name,
		encode: func(dst []byte) []byte { return encode(dst, &v) },
		decode: func(b []byte) error { return decode(b, into) }, reads: reads,
	}
}

// hotCodecs are the messages of puts and gets. What their decoding may allocate: the
// dots of a context, the versions of an object, the list of siblings.
func hotCodecs() []codec {
	get := GetRequest{Common: defaults(), Bucket: kv.DefaultBucketName, Key: benchKey()}
	return []codec{
		codecOf("get request", get, 0, AppendGetRequest, DecodeGetRequest),
		codecOf("get result", benchGetResult(), 1, AppendGetResult, DecodeGetResult),
		codecOf("put request", benchPut(), 0, AppendPutRequest, DecodePutRequest),
		codecOf("put result", PutResult{Context: goldenToken(), SiblingCount: 1}, 0,
			AppendPutResult, DecodePutResult),
		codecOf("store request", benchStore(), 2, AppendStoreRequest, DecodeStoreRequest),
		codecOf("store reply", StoreReply{Standing: goldenStanding(), Code: ReplicaOK}, 0,
			AppendStoreReply, DecodeStoreReply),
		codecOf("read request", ReadRequest{Target: goldenTarget(), Mode: ReadFull}, 0,
			AppendReadRequest, DecodeReadRequest),
		codecOf("read reply", benchReadReply(), 2, AppendReadReply, DecodeReadReply),
	}
}

func TestHotMessagesAllocateNoMoreThanWhatTheyHold(t *testing.T) {
	for _, c := range hotCodecs() {
		b := c.encode(nil)
		buf := make([]byte, 0, len(b))
		if got := testing.AllocsPerRun(100, func() { buf = c.encode(buf[:0]) }); got > c.encodes {
			t.Errorf("%s: encoding costs %v allocations, at most %v", c.name, got, c.encodes)
		}
		if got := testing.AllocsPerRun(100, func() {
			if err := c.decode(b); err != nil {
				t.Fatal(err)
			}
		}); got > c.reads {
			t.Errorf("%s: decoding costs %v allocations, at most %v", c.name, got, c.reads)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range hotCodecs() {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := c.encode(nil)
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				buf = c.encode(buf[:0])
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range hotCodecs() {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			message := c.encode(nil)
			b.SetBytes(int64(len(message)))
			for b.Loop() {
				if err := c.decode(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a put request costs with the library, for comparison: by reflection into a
// struct, and by its primitives with a decoder that is kept.
func BenchmarkDecodePutRequestByLibrary(b *testing.B) {
	put := benchPut()
	message := AppendPutRequest(nil, &put)
	b.Run("reflection", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var into []struct {
				Key       []byte `msgpack:"key"`
				Value     []byte `msgpack:"value"`
				Context   []byte `msgpack:"context"`
				RequestID []byte `msgpack:"request_id"`
			}
			if err := msgpack.Unmarshal(message, &into); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("primitives", func(b *testing.B) {
		b.ReportAllocs()
		d := msgpack.NewDecoder(nil)
		r := bytes.NewReader(message)
		for b.Loop() {
			r.Reset(message)
			d.Reset(r)
			if err := libraryReadsPut(d); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func libraryReadsPut(d *msgpack.Decoder) error {
	if _, err := d.DecodeArrayLen(); err != nil {
		return err
	}
	n, err := d.DecodeMapLen()
	for ; n > 0 && err == nil; n-- {
		if _, err = d.DecodeString(); err == nil {
			_, err = d.DecodeBytes()
		}
	}
	return err
}
