// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

func TestTwoWhoDidNotSeeEachOtherLeaveTwoSiblingsOnEveryNode(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	l.at(1).put("cart", "apples", nil)
	l.at(2).put("cart", "pears", nil)
	for node := 1; node <= 3; node++ {
		// Each of three nodes owns every key: r=1 at it is its own copy.
		eventually(t, fmt.Sprintf("node %d has both", node), func() bool {
			values, _ := l.at(node).get("cart", kv.LevelOne)
			return len(values) == 2
		})
		l.at(node).has("cart", kv.LevelAll, "apples", "pears")
	}
	both := l.at(3).has("cart", kv.LevelQuorum, "apples", "pears")
	l.at(3).put("cart", "apples and pears", both)
	for node := 1; node <= 3; node++ {
		l.at(node).has("cart", kv.LevelAll, "apples and pears")
	}
}

func TestWriterOfOneSiblingDoesNotOverwriteTheOther(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	one := l.at(1)
	first := one.put("k", "x", nil)
	one.put("k", "y", nil) // blind, at the same owner
	one.put("k", "x2", first)
	one.has("k", kv.LevelAll, "x2", "y")
}

func TestDeleteCoversWhatWasReadAndNothingElse(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	seen := l.at(1).put("k", "old", nil)
	l.at(2).put("k", "beside", nil)
	l.at(3).delete("k", seen)
	l.at(1).has("k", kv.LevelAll, "beside")
	l.at(2).delete("k", nil) // what a quorum read finds
	gone := l.at(3).has("k", kv.LevelAll)
	if len(gone) == 0 {
		t.Error("a deleted key has no context to write with")
	}
	l.at(1).put("k", "new", gone)
	l.at(2).has("k", kv.LevelAll, "new")
}

func TestRetryOfAWriteIsTheSameWrite(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	write := wire.PutRequest{Key: []byte("k"), Value: []byte("v")}
	write.RequestID = kv.RequestID{1, 2, 3}
	for _, node := range []int{1, 1, 2, 3, 1} {
		if _, err := l.at(node).tryPut(write); err != nil {
			t.Fatal(err)
		}
	}
	for node := 1; node <= 3; node++ {
		l.at(node).has("k", kv.LevelAll, "v")
	}
}

func TestContextOfAnotherKeyIsInvalid(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	foreign := l.at(1).put("a", "1", nil)
	write := wire.PutRequest{Key: []byte("b"), Value: []byte("2")}
	write.Context = foreign
	if _, err := l.at(1).tryPut(write); codeOf(err) != wire.CodeInvalid {
		t.Errorf("error %v, want INVALID", err)
	}
	l.at(1).has("b", kv.LevelAll)
}

func TestExpiredValueIsNotShown(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	write := wire.PutRequest{Key: []byte("k"), Value: []byte("v"), TTLMS: 300}
	if _, err := l.at(1).tryPut(write); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the value expires", func() bool {
		values, _ := l.at(2).get("k", kv.LevelAll)
		return len(values) == 0
	})
}

func TestScanShowsEveryLiveKeyOnceInPages(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	want := make(map[string]bool)
	for i := range 300 {
		key := fmt.Sprintf("scan/%03d", i)
		l.at(1+i%3).put(key, "v", nil)
		want[key] = true
	}
	l.at(1).put("other", "v", nil)
	l.at(1).delete("scan/007", nil)
	delete(want, "scan/007")
	var cursor []byte
	for page := 0; ; page++ {
		b, err := l.at(2).call(wire.MethodKeyScan, func(dst []byte) []byte {
			return wire.AppendKeyScanRequest(dst, &wire.KeyScanRequest{
				Prefix: []byte("scan/"), Cursor: cursor, Limit: 40,
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		var result wire.KeyScanResult
		if err := wire.DecodeKeyScanResult(b, &result); err != nil {
			t.Fatal(err)
		}
		if !result.Complete || len(result.Entries) > 40 {
			t.Errorf("page %d: complete %t, %d entries", page, result.Complete, len(result.Entries))
		}
		for _, e := range result.Entries {
			if !want[string(e.Key)] {
				t.Errorf("%s is shown twice, or should not be", e.Key)
			}
			delete(want, string(e.Key))
		}
		if cursor = result.Cursor; len(cursor) == 0 {
			break
		}
	}
	if len(want) > 0 {
		t.Errorf("%d keys were never shown", len(want))
	}
}

func TestQuorumGoesOnWithOneNodeStopped(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	before := l.at(1).put("k", "before", nil)
	stopNode(t, l, "n3")
	during := l.at(1).put("k", "during", before)
	l.at(2).has("k", kv.LevelQuorum, "during")
	if err := l.cluster.StartNode(t.Context(), "n3"); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, l)
	// n3 is behind, and says so to nobody: a quorum read is right all the same.
	for node := 1; node <= 3; node++ {
		l.at(node).has("k", kv.LevelQuorum, "during")
	}
	l.at(3).put("k", "after", during)
	for node := 1; node <= 3; node++ {
		l.at(node).has("k", kv.LevelAll, "after")
	}
}

func TestWithTwoNodesStoppedNothingPretends(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	l.at(1).put("k", "v", nil)
	stopNode(t, l, "n2")
	stopNode(t, l, "n3")
	one := l.at(1)
	eventually(t, "a write is refused as UNAVAILABLE", func() bool {
		_, err := one.tryPut(wire.PutRequest{Key: []byte("refused"), Value: []byte("v")})
		if err == nil {
			t.Fatal("a write was acknowledged by one of three nodes")
		}
		told := err.Error()
		return codeOf(err) == wire.CodeUnavailable &&
			strings.Contains(told, "n2") && strings.Contains(told, "n3")
	})
	_, err := one.tryGet(wire.GetRequest{Key: []byte("k")})
	if codeOf(err) != wire.CodeUnavailable {
		t.Errorf("a quorum read on one node: %v, want UNAVAILABLE", err)
	}
	one.has("k", kv.LevelOne, "v")
	_, err = one.tryPut(wire.PutRequest{Key: []byte("never"), Value: []byte("v")})
	if codeOf(err) != wire.CodeUnavailable {
		t.Fatalf("error %v, want UNAVAILABLE", err)
	}
	one.has("never", kv.LevelOne) // outcome none: not even here
	write := wire.PutRequest{Key: []byte("w1"), Value: []byte("v")}
	write.W = kv.LevelOne
	if _, err := one.tryPut(write); err != nil {
		t.Errorf("a write with w=1 at an owner: %v", err)
	}
	for _, name := range []string{"n2", "n3"} {
		if err := l.cluster.StartNode(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	awaitReady(t, l)
	l.at(2).has("never", kv.LevelAll)
}

func stopNode(t *testing.T, l *life, name string) {
	t.Helper()
	if err := l.cluster.StopNode(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func awaitReady(t *testing.T, l *life) {
	t.Helper()
	eventually(t, "the cluster is ready again", func() bool {
		refused, cluster := l.cluster.ready()
		return cluster != "" && len(refused) == 0
	})
}

// eventually demands that something becomes true in time.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
