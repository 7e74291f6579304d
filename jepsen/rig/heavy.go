// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

func loadActions() map[nemesis.Kind]action {
	return map[nemesis.Kind]action{
		nemesis.Overload: heavy("register", 1000, 5*time.Millisecond, nil),
		nemesis.HotKey: heavy("register", 16, 2*time.Millisecond, func(w *workload.Register) {
			w.Keys = w.Keys[:1]
			w.MaxSize = min(w.MaxSize, 256)
		}),
		nemesis.BigValues: heavy("register", 3, 200*time.Millisecond, func(w *workload.Register) {
			w.Keys, w.MaxSize = w.Keys[:min(len(w.Keys), 4)], 1<<20
		}),
	}
}

// heavy has more sessions beside the others, which pause for so long at most.
func heavy(
	kind string, sessions int, pause time.Duration, shape func(*workload.Register),
) action {
	return func(ctx context.Context, a *act) error {
		s := newShelf(a.rng.Uint64(), kind, 0, workload.Options{
			N: replicas, MinW: a.load.minW, Pause: pause,
		})
		s.name, s.shape = string(a.fault.Kind)+" "+a.fault.At.String(), shape
		before := a.load.processes.Load()
		a.load.more(ctx, s, sessions, pause, time.Duration(a.fault.For))
		a.met("sessions", a.load.processes.Load()-before)
		return nil
	}
}
