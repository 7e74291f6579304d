// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/wire"
)

// A node that waits for others to register says so, and still answers who it is.
func TestNodeWithoutDataSaysWhatItWaitsFor(t *testing.T) {
	inBubble(t, shape{forming: true}, func(t *testing.T, f *fixture) {
		c, p := f.client(), f.peer(f.hello())
		for name, m := range f.server.methods {
			if !m.data {
				continue
			}
			_, err := call(c, name, []byte{0x90})
			checkMissing(t, name, err)
		}
		for name := range f.server.works {
			_, err := call(p, name, []byte{0x90})
			checkMissing(t, name, err)
		}
		for _, name := range []string{wire.MethodHello, wire.MethodPing, wire.MethodClusterStatus} {
			if _, err := call(c, name, []byte{0x90}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if open, refused := f.server.requests.counts(); open != 0 || refused != 0 {
			t.Errorf("%d requests are under way, %d refused", open, refused)
		}
	})
}

func checkMissing(t *testing.T, method string, err error) {
	t.Helper()
	if code, text := codeOf(err); code != wire.CodeNotReady || !strings.Contains(text, "1 registered") {
		t.Errorf("%s: %v", method, err)
	}
}
