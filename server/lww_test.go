// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// newest is a bucket of the fixture that shows one winner.
func (f *fixture) newest() kv.Bucket {
	b := kv.BuiltinBucket(1)
	b.ID, b.Name, b.LWW = 7, "newest", true
	f.world.buckets = append(f.world.buckets, b)
	return b
}

// rivals gives a key one version for each stamp, the last of them a tombstone.
func (f *fixture) rivals(key string, stamps ...kv.Stamp) kv.Object {
	var o kv.Object
	for i, stamp := range stamps {
		v := kv.Version{
			Dot: dotOf(uint64(100 + i)), Kind: kv.KindValue, Value: []byte{byte('a' + i)}, Stamp: stamp,
		}
		if i == len(stamps)-1 {
			v.Kind, v.Value = kv.KindTombstone, nil
		}
		o = kv.Merge(o, kv.Object{
			Context: vclock.ContextOf(v.Dot), Versions: []kv.Version{v.Sealed()},
		})
	}
	f.keys.mu.Lock()
	defer f.keys.mu.Unlock()
	f.keys.objects[key] = o
	return o
}

// stampIn opens a context as the server does.
func (f *fixture) stampIn(b kv.Bucket, key string, token []byte) (vclock.Context, kv.Stamp) {
	f.t.Helper()
	seal, _, err := f.server.sealOf(b, []byte(key))
	must(f.t, err)
	c, stamp, err := seal.open(token)
	must(f.t, err)
	return c, stamp
}

func TestAReadOfAnLWWBucketShowsTheWinnerAndCoversAll(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		b, c := f.newest(), f.client()
		lost := f.rivals("deleted later", 5, 9)
		won := f.rivals("deleted before", 9, 12, 7)
		got, err := get(c, wire.GetRequest{Bucket: "newest", Key: []byte("deleted before")})
		must(t, err)
		if !got.Found || len(got.Siblings) != 1 || string(got.Siblings[0].Value) != "b" {
			t.Errorf("it shows %v", got.Siblings)
		}
		if seen, stamp := f.stampIn(b, "deleted before", got.Context); stamp != 12 ||
			!seen.Equal(won.Context) {
			t.Errorf("the context covers %s with stamp %d", seen, stamp)
		}
		got, err = get(c, wire.GetRequest{Bucket: "newest", Key: []byte("deleted later")})
		must(t, err)
		if got.Found || len(got.Siblings) != 0 {
			t.Errorf("it shows %v", got.Siblings)
		}
		if seen, stamp := f.stampIn(b, "deleted later", got.Context); stamp != 9 ||
			!seen.Equal(lost.Context) {
			t.Errorf("the context covers %s with stamp %d", seen, stamp)
		}
		scanned, err := call(c, wire.MethodKeyScan, wire.AppendKeyScanRequest(nil,
			&wire.KeyScanRequest{Bucket: "newest", Limit: 10}))
		must(t, err)
		var page wire.KeyScanResult
		must(t, wire.DecodeKeyScanResult(scanned, &page))
		if len(page.Entries) != 1 || string(page.Entries[0].Key) != "deleted before" ||
			len(page.Entries[0].Siblings) != 1 {
			t.Errorf("a scan shows %v", page.Entries)
		}
		// The same object in the other bucket is shown with all its values.
		got, err = get(c, wire.GetRequest{Key: []byte("deleted before")})
		must(t, err)
		if len(got.Siblings) != 2 {
			t.Errorf("a bucket of siblings shows %d", len(got.Siblings))
		}
	})
}

// What a writer is handed goes with its next write: the context, and the stamp that the
// write must be above.
func TestTheStampOfAContextComesBackWithTheWrite(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		b, c := f.newest(), f.client()
		high := kv.StampAt(time.Now().Add(time.Hour).UnixMilli())
		seal, _, err := f.server.sealOf(b, []byte("k"))
		must(t, err)
		token := seal.of(vclock.ContextOf(dotOf(90)), high)
		f.keys.counter = 95
		done, err := put(c, wire.PutRequest{
			Bucket: "newest", Key: []byte("k"), Value: []byte("v"),
			WriteOptions: wire.WriteOptions{Context: token},
		})
		must(t, err)
		if _, stamp := f.stampIn(b, "k", done.Context); stamp <= high || done.SiblingCount != 1 {
			t.Errorf("stamp %d after %d, %d siblings", stamp, high, done.SiblingCount)
		}
		deleted, err := call(c, wire.MethodDelete, wire.AppendDeleteRequest(nil, &wire.DeleteRequest{
			Bucket: "newest", Key: []byte("k"), WriteOptions: wire.WriteOptions{Context: done.Context},
		}))
		must(t, err)
		var result wire.DeleteResult
		must(t, wire.DecodeDeleteResult(deleted, &result))
		_, before := f.stampIn(b, "k", done.Context)
		if _, stamp := f.stampIn(b, "k", result.Context); stamp <= before {
			t.Errorf("the tombstone has stamp %d after %d", stamp, before)
		}
		// A context of before there were stamps is as good as one of stamp 0.
		older := vclock.AppendToken(nil, seal.binding, vclock.ContextOf(dotOf(1)))
		if _, err = put(c, wire.PutRequest{
			Bucket: "newest", Key: []byte("k"), Value: []byte("v"),
			WriteOptions: wire.WriteOptions{Context: older},
		}); err != nil {
			t.Errorf("an older context: %v", err)
		}
		// A bucket of siblings hands out no stamps, and takes none.
		if _, err = put(c, wire.PutRequest{
			Key: []byte("k"), Value: []byte("v"), WriteOptions: wire.WriteOptions{Context: token},
		}); err == nil {
			t.Error("a context of another bucket was taken")
		}
		plain, err := put(c, wire.PutRequest{Key: []byte("other"), Value: []byte("v")})
		must(t, err)
		if _, err := vclock.OpenToken(plain.Context, bindingOf(f, "other")); err != nil {
			t.Errorf("the context of a bucket of siblings: %v", err)
		}
	})
}

func bindingOf(f *fixture, key string) vclock.Binding {
	return vclock.Bind(f.world.ring.Cluster(), 1, []byte(key))
}

func TestABucketDeletedUnderARequestIsNoSuchBucket(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		f.keys.code = wire.ReplicaNoBucket
		_, err := put(f.client(), wire.PutRequest{Key: []byte("k"), Value: []byte("v")})
		if code, text := codeOf(err); code != wire.CodeNoSuchBucket {
			t.Errorf("%s: %s", code, text)
		}
	})
}
