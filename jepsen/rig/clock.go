// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/jepsen/nemesis"
)

// tick is how often a clock that drifts is set.
const tick = 10 * time.Millisecond

func clockActions() map[nemesis.Kind]action {
	return map[nemesis.Kind]action{
		nemesis.ClockStep: wrong(func(f *nemesis.Fault, _ time.Duration) time.Duration {
			return time.Duration(f.By)
		}),
		nemesis.ClockStrobe: wrong(func(f *nemesis.Fault, t time.Duration) time.Duration {
			if t/(100*time.Millisecond)%2 == 0 {
				return time.Duration(f.By)
			}
			return 0
		}),
		nemesis.ClockDrift: wrong(func(f *nemesis.Fault, t time.Duration) time.Duration {
			return t * time.Duration(f.N) / 1_000_000
		}),
	}
}

// wrong sets a node's clock to what it is off t after the fault began, and right in the end.
func wrong(off func(f *nemesis.Fault, t time.Duration) time.Duration) action {
	return func(ctx context.Context, a *act) error {
		i := a.nodes[0]
		began, last, set := time.Now(), time.Duration(0), int64(0)
		var errs []error
		for {
			t := time.Since(began)
			if t >= time.Duration(a.fault.For) {
				break
			}
			if now := off(a.fault, t); now != last {
				errs = append(errs, a.world.clocks.set(i, now))
				last = now
				set++
			}
			if !rest(ctx, tick) || len(errs) > 0 && errs[len(errs)-1] != nil {
				break
			}
		}
		a.met("times set", set)
		return errors.Join(errors.Join(errs...), a.world.clocks.set(i, 0))
	}
}
