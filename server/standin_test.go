// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// Mark keeps no marker: none of these tests looks for one.
func (c *copyOfKeys) Mark(
	_ uint16, _ uint8, _ kv.BucketID, _ []byte, _ vclock.Context, done func(bool),
) {
	done(false)
}

// Where no owner of a key is reached, and the write asks for none, this node coordinates
// puts and deletes as a fallback; but not what was forwarded to it as to an owner, for then
// the rings differ (TRAPS C10).
func TestTrapC14NodesStandInForOwnersThatAreNotReached(t *testing.T) {
	inBubble(t, shape{members: 2, partitions: 16}, func(t *testing.T, f *fixture) {
		f.others.down = true
		key := f.elsewhere()
		got, err := put(f.client(), wire.PutRequest{Key: []byte(key), Value: []byte("v")})
		must(t, err)
		if n := len(f.keys.object(key).Versions); n != 1 || got.SiblingCount != 1 {
			t.Errorf("%d versions are kept, the client was told %+v", n, got)
		}
		_, err = call(f.client(), wire.MethodDelete, wire.AppendDeleteRequest(nil, &wire.DeleteRequest{
			Key: []byte(key), WriteOptions: wire.WriteOptions{Context: got.Context},
		}))
		must(t, err)
		if o := f.keys.object(key); len(o.Versions) != 1 || o.Versions[0].Kind != kv.KindTombstone {
			t.Errorf("after the delete: %v", o.Versions)
		}
		_, err = put(f.client(), wire.PutRequest{
			Key: []byte(key), Value: []byte("w"), WriteOptions: wire.WriteOptions{PW: kv.LevelOne},
		})
		if code, _ := codeOf(err); code != wire.CodeUnavailable {
			t.Errorf("a write that asks for an owner: %v, want UNAVAILABLE", err)
		}
		answer := forward(t, f.peer(f.hello()), key)
		if !strings.HasPrefix(answer.Error, "NOT_READY: ") {
			t.Errorf("a forwarded write: %q, want NOT_READY", answer.Error)
		}
	})
}
