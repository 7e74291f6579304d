// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A sixth of a long TTL is more time than a request has: its renewal must not be kept back
// for company until its caller has gone.
func TestARenewalOfALongSessionIsAnsweredInTheTimeOfItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[2]
		id := n.open(1, time.Hour)
		n.barrier()
		for i := range 5 {
			ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
			began := time.Now()
			if err := n.Renew(ctx, id); err != nil {
				t.Errorf("renewal %d: %v after %v", i, err, time.Since(began))
			}
			cancel()
		}
	})
}
