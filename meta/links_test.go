// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestLinksDropTheOneLongestUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, 0, nil)
		l := newLinks(r.net.Dialer("n9"), func(to kv.NodeID) rpc.Hello {
			return rigHello{self: 9, to: to}
		}, func(node kv.NodeID) string {
			if node == 1 {
				return "n1:2"
			}
			return "nobody:2"
		}, rand.New(rand.NewPCG(1, 1)), zap.NewNop())
		r.lives.Go(func() { _ = l.run(r.ctx) })
		synctest.Wait()
		for node := kv.NodeID(100); node < 100+maxLinks; node++ {
			_, err := l.peer(node)
			must(t, err)
			time.Sleep(time.Millisecond)
		}
		_, err := l.peer(100) // not the oldest any more
		must(t, err)
		_, err = l.call(r.ctx, 1, wire.MethodMetaView, func(dst []byte, _ uint16) []byte {
			return wire.AppendMetaViewRequest(dst, &wire.MetaViewRequest{})
		})
		must(t, err)
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.byNode) != maxLinks || l.byNode[100] == nil || l.byNode[101] != nil {
			t.Errorf("%d connections; that to 100 is kept: %t, to 101: %t", len(l.byNode),
				l.byNode[100] != nil, l.byNode[101] != nil)
		}
	})
}

// A member that comes back on another port is called there, and connections that nobody
// uses are closed.
func TestLinksFollowAMemberToItsNewAddressAndEndWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		var mu sync.Mutex
		addr := "n2:9" // nobody listens there
		l := newLinks(r.net.Dialer("n9"), func(to kv.NodeID) rpc.Hello {
			return rigHello{self: 9, to: to}
		}, func(node kv.NodeID) string {
			mu.Lock()
			defer mu.Unlock()
			if node != 2 {
				return ""
			}
			return addr
		}, rand.New(rand.NewPCG(1, 1)), zap.NewNop())
		r.lives.Go(func() { _ = l.run(r.ctx) })
		synctest.Wait()
		ask := func(node kv.NodeID) error {
			_, err := l.call(r.ctx, node, wire.MethodMetaView, func(dst []byte, _ uint16) []byte {
				return wire.AppendMetaViewRequest(dst, &wire.MetaViewRequest{})
			})
			return err
		}
		if err := ask(2); !errors.Is(err, rpc.ErrNotSent) {
			t.Errorf("nobody listens: %v", err)
		}
		if err := ask(3); !errors.Is(err, rpc.ErrNotSent) {
			t.Errorf("no address: %v", err)
		}
		mu.Lock()
		addr = "n2:2"
		mu.Unlock()
		time.Sleep(linkLook)
		if err := ask(2); err != nil {
			t.Errorf("at its new address: %v", err)
		}
		time.Sleep(3 * linkIdle)
		l.mu.Lock()
		open := len(l.byNode)
		l.mu.Unlock()
		if open != 0 {
			t.Errorf("%d connections are kept for nobody", open)
		}
		must(t, ask(2))
		r.stop()
		synctest.Wait()
		if err := ask(2); !errors.Is(err, rpc.ErrNotSent) {
			t.Errorf("after the end: %v", err)
		}
	})
}
