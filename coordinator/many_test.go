// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

func manyKeys(n int) *GetManyRequest {
	many := &GetManyRequest{GetRequest: *getting()}
	for i := range n {
		many.Keys = append(many.Keys, []byte{byte('a' + i)})
	}
	return many
}

// One get_many was admitted as one request: many of them together must not have as many
// reads under way as all their keys are.
func TestReadsOfAllGetManysAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.MaxReads = 3 })
		var open, most atomic.Int64
		for _, node := range s.others() {
			s.auto[node] = func(c *call) {
				now := open.Add(1)
				for {
					seen := most.Load()
					if now <= seen || most.CompareAndSwap(seen, now) {
						break
					}
				}
				time.AfterFunc(time.Millisecond, func() {
					open.Add(-1)
					c.show(kv.Object{})
				})
			}
		}
		const requests = 4
		var list []*begun[int]
		for range requests {
			list = append(list, begin(func() (answers int, _ error) {
				s.c.GetMany(within(t), manyKeys(10), func(_ int, g Got) bool {
					if g.Err == nil {
						answers++
					}
					return true
				})
				return answers, nil
			}))
		}
		for _, b := range list {
			if answers, _ := b.wait(); answers != 10 {
				t.Errorf("%d answers", answers)
			}
		}
		if got := most.Load(); got > 3+requests {
			t.Errorf("%d reads were under way at a time", got)
		}
		if left := s.c.reading.Load(); left != 0 {
			t.Errorf("%d reads are counted that have ended", left)
		}
	})
}

// What is left of a get_many when its time is up touches no disk and asks nobody.
func TestKeysWhoseTimeIsUpAreNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.localRead = func(*wire.ReadRequest) wire.ReadReply {
			t.Error("this node's copy was read")
			return wire.ReadReply{Standing: standing(nodeA), Code: wire.ReplicaOK}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		answers := 0
		s.c.GetMany(ctx, manyKeys(3), func(_ int, g Got) bool {
			if answers++; codeIn(g.Err) != wire.CodeTimeout {
				t.Error(g.Err)
			}
			return true
		})
		if n := s.count(nodeB) + s.count(nodeC); n != 0 || answers != 3 {
			t.Errorf("%d calls, %d answers", n, answers)
		}
	})
}
