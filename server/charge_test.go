// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"
	"testing/synctest"

	"github.com/dyno-kv/dyno/wire"
)

func TestReadsAreGuessedByThoseBefore(t *testing.T) {
	var r readSize
	if got := r.guess(); got != leastRead {
		t.Errorf("before the first: %d", got)
	}
	r.observe(1 << 20)
	if got := r.guess(); got != 1<<20 {
		t.Errorf("after a large one: %d", got)
	}
	r.observe(100)
	if got := r.guess(); got < 1<<19 {
		t.Errorf("one small one later: %d; more large ones may follow", got)
	}
	for range 20 * readMemory {
		r.observe(100)
	}
	if got := r.guess(); got != leastRead {
		t.Errorf("after many small ones: %d", got)
	}
	for range 10 { // also from just above: it never stays
		r.observe(99)
	}
	if got := r.bytes.Load(); got > 100 {
		t.Errorf("it stays at %d", got)
	}
}

// What a request will hold counts before it is there: afterwards it is too late.
func TestReadsAreChargedBeforeTheyBegin(t *testing.T) {
	change := func(cfg *Config) { cfg.MaxBytes = 700 << 10 }
	inBubble(t, shape{change: change}, func(t *testing.T, f *fixture) {
		c, other := f.client(), f.client()
		get := func() wire.Code {
			req := wire.GetRequest{Key: []byte("large")}
			_, err := call(other, wire.MethodGet, wire.AppendGetRequest(nil, &req))
			code, _ := codeOf(err)
			return code
		}
		scan := func() wire.Code {
			req := wire.KeyScanRequest{Limit: 1}
			_, err := call(other, wire.MethodKeyScan, wire.AppendKeyScanRequest(nil, &req))
			code, _ := codeOf(err)
			return code
		}
		large := wire.PutRequest{Key: []byte("large"), Value: make([]byte, 500<<10)}
		if _, err := put(c, large); err != nil {
			t.Fatal(err)
		}
		f.keys.stick()
		open := begin(c, "open", 300<<10)
		synctest.Wait()
		if code := get(); code != "" {
			t.Errorf("a get of what seems small: %s", code)
		}
		synctest.Wait()
		if code := get(); code != wire.CodeOverloaded {
			t.Errorf("a get after a large one: %q, want OVERLOADED", code)
		}
		if code := scan(); code != wire.CodeOverloaded {
			t.Errorf("a page: %q, want OVERLOADED", code)
		}
		f.keys.release()
		if err := <-open; err != nil {
			t.Error(err)
		}
		synctest.Wait() // an answer goes out before its request has left
		if code := get(); code != "" {
			t.Errorf("a get that is alone: %s", code)
		}
		synctest.Wait()
		if code := scan(); code != "" {
			t.Errorf("a page that is alone: %s", code)
		}
	})
}
