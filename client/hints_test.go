// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// A wait at whose end only hints stand that can not be read says so, and who keeps them.
func TestAWaitEndsWhereOnlyDamagedHintsAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 2)
		f.feats = []string{wire.FeatureHints}
		asked := 0
		f.onData(func(_ *fakeNode, call *rpc.Call, _ seen) bool {
			asked++
			got := wire.HintsWaitResult{Point: []byte("p"), Hints: 1, Damaged: 5}
			if asked == 3 {
				got.Hints, got.Stuck = 0, []HintsStuck{{Node: "n1", Damaged: 2}, {Node: "n2", Damaged: 3}}
			}
			call.Reply(func(dst []byte) []byte { return wire.AppendHintsWaitResult(dst, &got) })
			return true
		})
		c := f.client(nil)
		told := 0
		err := c.HintsWait(t.Context(), func(p HintsProgress) { told++ })
		if !errors.Is(err, ErrHintsDamaged) || !strings.Contains(err.Error(), "2 at n1, 3 at n2") {
			t.Errorf("%v", err)
		}
		if asked != 3 || told != 3 {
			t.Errorf("asked %d times, told of %d answers", asked, told)
		}
	})
}
