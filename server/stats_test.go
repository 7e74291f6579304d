// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// Each request is counted once, by its method and how it ended, also one that never began.
func TestRequestsAreCountedByMethodAndCode(t *testing.T) {
	change := func(cfg *Config) { cfg.MaxRequests = 1 }
	inBubble(t, shape{change: change}, func(t *testing.T, f *fixture) {
		c := f.client()
		f.keys.stick()
		first := begin(c, "k1", 1)
		time.Sleep(time.Second) // of the bubble: how long the put takes
		_, _ = put(f.client(), wire.PutRequest{Key: []byte("k2"), Value: []byte("v")})
		f.keys.release()
		if err := <-first; err != nil {
			t.Error(err)
		}
		for range 3 {
			_, _ = call(c, "kv.get", params(str("key"), str("k1")))
		}
		_, _ = call(c, "kv.get", params())
		_, _ = call(c, "a name of the client's", params())
		_, _ = call(c, "another", params())
		var got []string
		for _, r := range f.server.Requests() {
			got = append(got, fmt.Sprintf("%s %s %d", r.Method, r.Code, r.Times.Count()))
		}
		want := []string{
			"kv.get  3", "kv.get INVALID 1", "kv.put  1", "kv.put OVERLOADED 1",
			"other UNKNOWN_METHOD 2",
		}
		if !slices.Equal(got, want) {
			t.Errorf("counted %q, want %q", got, want)
		}
		for _, r := range f.server.Requests() {
			if s := r.Times.Sum(); r.Method == "kv.put" && r.Code == "" && s < 1_000_000 {
				t.Errorf("a put of a second took %d us", s)
			}
		}
		if n := f.server.Reads().Siblings.Count(); n != 3 {
			t.Errorf("%d reads have shown siblings, want 3", n)
		}
	})
}

func TestACodeOfANewerMemberIsCounted(t *testing.T) {
	t.Parallel()
	m := newMethodStats()
	m.observe("A_NEW_CODE: of a later release", time.Millisecond)
	list := m.tell(nil, "kv.put")
	if len(list) != 1 || list[0].Code != otherCode || list[0].Times.Count() != 1 {
		t.Errorf("counted as %+v", list)
	}
}
