// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// What hand-off is bringing to one of both sides is not moved a second time; when it is over
// the pair is compared.
func TestAPairIsLeftToHintsThatAreOnTheirWay(t *testing.T) {
	for _, to := range []kv.NodeID{nodeA, nodeB} {
		bubble(t, func(t *testing.T) {
			var over atomic.Bool
			s := lacking(t, func(cfg *Config) {
				cfg.Coming = func(_ context.Context, node kv.NodeID) bool {
					return node == to && !over.Load()
				}
			})
			outcome, err := s.once(0, nodeB)
			if outcome != Unfinished || !errors.Is(err, errComing) || s.peers.sent > 1 {
				t.Errorf("hints come to node %d: %v, %v after %d messages", to, outcome, err, s.peers.sent)
			}
			s.run()
			round := s.Begin()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			// What the others bring it leaves nothing to do with the one that hints come to.
			if got := s.Wait(ctx, round); got.Done() != (to == nodeB) {
				t.Errorf("while hints come to node %d: %+v", to, got)
			}
			over.Store(true)
			if got := s.Wait(t.Context(), round); !got.Done() {
				t.Errorf("when they are over: %+v", got)
			}
			s.equal(s.a, s.b)
		})
	}
}

// Where hints never end, what none of them tells of is brought all the same.
func TestHintsThatNeverEndKeepNothingApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := lacking(t, func(cfg *Config) {
			cfg.Coming = func(context.Context, kv.NodeID) bool { return true }
		})
		s.run()
		round, began := s.Begin(), time.Now()
		if got := s.Wait(t.Context(), round); !got.Done() {
			t.Errorf("%+v", got)
		}
		if took := time.Since(began); took < longestComing || took > longestComing+time.Minute {
			t.Errorf("after %v", took)
		}
		s.equal(s.a, s.b)
	})
}

// Owners that hold the same ask nobody about hints.
func TestNobodyIsAskedAboutHintsWhereNothingDiffers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(cfg *Config) {
			cfg.Coming = func(context.Context, kv.NodeID) bool {
				t.Error("asked")
				return true
			}
		})
		if outcome, err := s.once(0, nodeB); outcome != InSync {
			t.Errorf("%v, %v", outcome, err)
		}
	})
}
