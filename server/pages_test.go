// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// smallMessages makes paging cheap to test.
func smallMessages(cfg *Config) { cfg.Client.Limits.Message = 64 << 10 }

func TestSiblingsAboveOneMessageComeInPages(t *testing.T) {
	inBubble(t, shape{change: smallMessages}, func(t *testing.T, f *fixture) {
		c := f.client()
		f.keys.put("k", 20, 10_000)
		q := wire.GetRequest{Key: []byte("k")}
		seen, pages := 0, 0
		for {
			page, err := get(c, q)
			must(t, err)
			pages++
			seen += len(page.Siblings)
			if !page.Found || page.RingVersion != 1 {
				t.Errorf("page %d: found %t, ring version %d", pages, page.Found, page.RingVersion)
			}
			if !page.More {
				if _, err := put(c, wire.PutRequest{
					Key: []byte("k"), Value: []byte("one"),
					WriteOptions: wire.WriteOptions{Context: page.Context},
				}); err != nil {
					t.Errorf("put with the last page's context: %v", err)
				}
				break
			}
			if len(page.Context) > 0 || len(page.Siblings) == 0 {
				t.Errorf("page %d: %d siblings and a context of %d bytes before the end", pages,
					len(page.Siblings), len(page.Context))
			}
			q.Skip = page.Skip
		}
		if seen != 20 || pages < 4 {
			t.Errorf("%d siblings in %d pages", seen, pages)
		}
		if left := len(f.keys.object("k").Versions); left != 1 {
			t.Errorf("%d versions are left", left)
		}
		_, err := get(c, q)
		if code, _ := codeOf(err); code != wire.CodeInvalid {
			t.Errorf("skip of an object that has changed: %v, want INVALID", err)
		}
	})
}

func TestContextThatDoesNotFitBesideSiblingsIsThePageBehindThem(t *testing.T) {
	inBubble(t, shape{change: smallMessages}, func(t *testing.T, f *fixture) {
		f.keys.put("k", 1, 40_000)
		object := f.keys.object("k")
		dots := []vclock.Dot{object.Versions[0].Dot}
		for i := range uint64(2500) { // of as many lives of this node: about 40 KB
			actor, err := vclock.NewActor(1, 100+i)
			must(t, err)
			dots = append(dots, vclock.Dot{Actor: actor, Counter: 5})
		}
		object.Context = vclock.ContextOf(dots...)
		f.keys.objects["k"] = object
		c := f.client()
		first, err := get(c, wire.GetRequest{Key: []byte("k")})
		must(t, err)
		if len(first.Siblings) != 1 || !first.More || len(first.Context) > 0 {
			t.Fatalf("first page: %d siblings, more %t, context of %d bytes", len(first.Siblings),
				first.More, len(first.Context))
		}
		last, err := get(c, wire.GetRequest{Key: []byte("k"), Skip: first.Skip})
		must(t, err)
		if len(last.Siblings) > 0 || last.More || len(last.Context) == 0 || !last.Found {
			t.Errorf("last page: %+v", last)
		}
	})
}

func TestMetaOnlyIsOnePage(t *testing.T) {
	inBubble(t, shape{change: smallMessages}, func(t *testing.T, f *fixture) {
		f.keys.put("k", 100, 10_000)
		page, err := get(f.client(), wire.GetRequest{
			Key: []byte("k"), ReadOptions: wire.ReadOptions{MetaOnly: true},
		})
		must(t, err)
		if page.More || len(page.Siblings) != 100 || len(page.Context) == 0 {
			t.Fatalf("more %t, %d siblings, context of %d bytes", page.More, len(page.Siblings),
				len(page.Context))
		}
		for _, s := range page.Siblings {
			if !s.Bare || s.Value != nil || s.TimestampMS == 0 {
				t.Fatalf("sibling %+v", s)
			}
		}
	})
}

func TestStoredWriteIsNeverAnsweredWithTooLarge(t *testing.T) {
	inBubble(t, shape{change: smallMessages}, func(t *testing.T, f *fixture) {
		c := f.client()
		f.keys.put("k", 20, 10_000)
		result, err := put(c, wire.PutRequest{
			Key: []byte("k"), Value: []byte("v"), ReturnSiblings: true,
		})
		must(t, err)
		if result.SiblingCount != 21 || len(result.Siblings) > 0 {
			t.Errorf("%d siblings, %d of them shown", result.SiblingCount, len(result.Siblings))
		}
		// The context covers the new version alone, for the others were not shown.
		_, err = put(c, wire.PutRequest{
			Key: []byte("k"), Value: []byte("w"),
			WriteOptions: wire.WriteOptions{Context: result.Context},
		})
		must(t, err)
		if n := len(f.keys.object("k").Versions); n != 21 {
			t.Errorf("%d versions, want the 20 that were not shown and the new one", n)
		}
	})
}

func TestPutReturnsSiblingsAndTheirContextWhereAsked(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		c := f.client()
		_, err := put(c, wire.PutRequest{Key: []byte("k"), Value: []byte("x")})
		must(t, err)
		result, err := put(c, wire.PutRequest{
			Key: []byte("k"), Value: []byte("y"), ReturnSiblings: true,
		})
		must(t, err)
		if result.SiblingCount != 2 || len(result.Siblings) != 2 ||
			string(result.Siblings[0].Value) != "x" || string(result.Siblings[1].Value) != "y" {
			t.Errorf("result %+v", result)
		}
		_, err = put(c, wire.PutRequest{
			Key: []byte("k"), Value: []byte("xy"),
			WriteOptions: wire.WriteOptions{Context: result.Context},
		})
		must(t, err)
		if n := len(f.keys.object("k").Versions); n != 1 {
			t.Errorf("%d versions are left by a write that had seen both", n)
		}
	})
}

func TestGetManyAnswersInTheOrderOfItsKeysAndSaysWhatToAskAgain(t *testing.T) {
	inBubble(t, shape{partitions: 8, change: smallMessages}, func(t *testing.T, f *fixture) {
		f.keys.put("large", 1, 30_000)
		f.keys.put("larger", 1, 40_000)
		f.keys.put("small", 1, 10)
		keys := [][]byte{
			[]byte("small"), []byte("large"), []byte("none"), []byte("larger"), []byte("small"),
		}
		b, err := call(f.client(), wire.MethodGetMany, wire.AppendGetManyRequest(nil,
			&wire.GetManyRequest{Keys: keys}))
		must(t, err)
		var result wire.GetManyResult
		must(t, wire.DecodeGetManyResult(b, &result))
		var sizes []int
		for _, entry := range result.Results {
			switch {
			case entry.Error != "":
				if entry.Error != "TOO_LARGE: ask again" {
					t.Errorf("error %q", entry.Error)
				}
				sizes = append(sizes, -1)
			case !entry.Found:
				sizes = append(sizes, 0)
			default:
				sizes = append(sizes, len(entry.Siblings[0].Value))
			}
		}
		if want := []int{10, 30_000, 0, -1, 10}; !slices.Equal(sizes, want) {
			t.Errorf("answers %v, want %v", sizes, want)
		}
	})
}

func TestGetManyOfAKeyThatFillsAMessageHasRoomForTheOthers(t *testing.T) {
	inBubble(t, shape{change: smallMessages}, func(t *testing.T, f *fixture) {
		f.keys.put("big", 5, 11_000) // all but fills a message alone
		q := wire.GetManyRequest{Keys: [][]byte{[]byte("big")}}
		for i := range 450 { // "ask again", so many times, takes more than what is left
			q.Keys = append(q.Keys, fmt.Appendf(nil, "other-%d", i))
		}
		b, err := call(f.client(), wire.MethodGetMany, wire.AppendGetManyRequest(nil, &q))
		must(t, err)
		var result wire.GetManyResult
		must(t, wire.DecodeGetManyResult(b, &result))
		if first := result.Results[0]; len(first.Siblings) == 0 || !first.More {
			t.Errorf("the first key: %d siblings, more %t", len(first.Siblings), first.More)
		}
	})
}

func TestScanPagesFitTheMessageAndLeaveNothingOut(t *testing.T) {
	inBubble(t, shape{partitions: 4, change: smallMessages}, func(t *testing.T, f *fixture) {
		var want []string
		for i := range 24 {
			want = append(want, fmt.Sprintf("k%03d", i))
			f.keys.put(want[i], 1, 10_000)
		}
		slices.SortFunc(want, func(a, b string) int {
			at := func(key string) uint16 {
				return f.server.partitionOf(f.world.buckets[0], []byte(key))
			}
			return cmp.Or(cmp.Compare(at(a), at(b)), cmp.Compare(a, b))
		})
		tooMuch := want[5]
		f.keys.put(tooMuch, 20, 10_000)
		q := wire.KeyScanRequest{Limit: 1024}
		var got []string
		pages, c := 0, f.client()
		for more := true; more; pages++ {
			b, err := call(c, wire.MethodKeyScan, wire.AppendKeyScanRequest(nil, &q))
			must(t, err)
			var page wire.KeyScanResult
			must(t, wire.DecodeKeyScanResult(b, &page))
			if len(b) > 64<<10 {
				t.Errorf("a page of %d bytes", len(b))
			}
			for _, e := range page.Entries {
				got = append(got, string(e.Key))
				whole := len(e.Siblings) == 1 && len(e.Context) > 0
				bare := len(e.Siblings) == 0 && len(e.Context) == 0
				if string(e.Key) == tooMuch && !bare || string(e.Key) != tooMuch && !whole {
					t.Errorf("%s: %d siblings, context of %d bytes", e.Key, len(e.Siblings),
						len(e.Context))
				}
			}
			q.Cursor, more = page.Cursor, len(page.Cursor) > 0
		}
		if !slices.Equal(got, want) || pages < 4 {
			t.Errorf("%d pages with %v", pages, got)
		}
	})
}

func TestInfoNamesOwnersThenThoseThatStandIn(t *testing.T) {
	inBubble(t, shape{members: 5, replicas: 3, partitions: 16}, func(t *testing.T, f *fixture) {
		b, err := call(f.client(), wire.MethodClusterInfo, params())
		must(t, err)
		var info wire.ClusterInfoResult
		must(t, wire.DecodeClusterInfoResult(b, &info))
		if len(info.Members) != 5 || info.Members[1].Addresses.Client != "n2:1" {
			t.Errorf("members %+v", info.Members)
		}
		cluster := f.world.ring.Cluster()
		if info.Cluster != cluster.String() || info.HashSeed != f.world.ring.HashSeed() ||
			info.Partitions != 16 || info.Replicas != 3 || len(info.Buckets) != 1 {
			t.Errorf("info %+v", info)
		}
		for p, nodes := range info.Preference {
			all := slices.Clone(nodes)
			slices.Sort(all)
			if !slices.Equal(all, []kv.NodeID{1, 2, 3, 4, 5}) {
				t.Fatalf("partition %d: %v", p, nodes)
			}
			for i, slot := range f.world.ring.Placement(uint16(p)).Slots {
				if nodes[i] != slot.Owner {
					t.Errorf("partition %d: %v, owner %d is %d", p, nodes, i, slot.Owner)
				}
			}
		}
	})
}

func TestHelloTellsLimitsAndFeatures(t *testing.T) {
	shapeOf := shape{change: func(cfg *Config) {
		smallMessages(cfg)
		cfg.Version, cfg.Client.Limits.InFlight = "1.2.3", 7
	}, control: idleControl{}}
	inBubble(t, shapeOf, func(t *testing.T, f *fixture) {
		b, err := call(f.client(), wire.MethodHello, []byte{0x90})
		must(t, err)
		var hello wire.HelloResult
		must(t, wire.DecodeHelloResult(b, &hello))
		limits := wire.DefaultLimits()
		limits.Message, limits.InFlight = 64<<10, 7
		if hello.Proto != 1 || hello.Node != "n1" || hello.Version != "1.2.3" ||
			hello.Limits != limits || hello.RingVersion != 1 ||
			!slices.Equal(hello.Features, []string{wire.FeatureDev}) {
			t.Errorf("hello %+v", hello)
		}
	})
}

func TestDeleteWithoutContextCoversWhatIsThereAndWritesNothingOverNothing(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		c := f.client()
		remove := func() {
			_, err := call(c, wire.MethodDelete, wire.AppendDeleteRequest(nil,
				&wire.DeleteRequest{Key: []byte("k")}))
			must(t, err)
		}
		remove()
		if len(f.keys.objects) > 0 {
			t.Error("a delete of nothing wrote something")
		}
		f.keys.put("k", 3, 10)
		remove()
		got, err := get(c, wire.GetRequest{Key: []byte("k")})
		must(t, err)
		if got.Found || len(got.Siblings) > 0 || len(got.Context) == 0 {
			t.Errorf("after the delete: %+v", got)
		}
		if kept := f.keys.object("k").Versions; len(kept) != 1 || !bytes.Equal(kept[0].Value, nil) {
			t.Errorf("%d versions are kept", len(kept))
		}
	})
}
