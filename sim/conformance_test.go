// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"testing"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/sim"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/storage/enginetest"
)

// TestTheDisksEnginesAreEngines with each way in which a process can end.
func TestTheDisksEnginesAreEngines(t *testing.T) {
	for _, kind := range []sim.EngineKind{sim.EngineDisk, sim.EngineBadgerTmpfs} {
		for way, end := range sim.Restarts() {
			if testing.Short() && kind == sim.EngineBadgerTmpfs && way != "kill" {
				continue // a kill copies the directory, as most others do
			}
			t.Run(kind.String()+", "+way, func(t *testing.T) {
				enginetest.Run(t, func(t testing.TB) *enginetest.Subject {
					return subject(t, kind, end)
				})
			})
		}
	}
}

// TestTheEngineInMemoryIsAnEngine, and nothing outlives it.
func TestTheEngineInMemoryIsAnEngine(t *testing.T) {
	enginetest.Run(t, func(t testing.TB) *enginetest.Subject {
		return subject(t, sim.EngineBadgerMemory, nil)
	})
}

func subject(
	t testing.TB, kind sim.EngineKind, end func(t testing.TB, d *sim.Disk, s *node.Stores),
) *enginetest.Subject {
	t.Helper()
	d := sim.DiskOf(t, kind)
	stores := open(t, d)
	s := &enginetest.Subject{Engine: stores.Data}
	if end != nil {
		s.Restart = func(t testing.TB) storage.Engine {
			t.Helper()
			end(t, d, stores)
			stores = open(t, d)
			return stores.Data
		}
	}
	return s
}

func open(t testing.TB, d *sim.Disk) *node.Stores {
	t.Helper()
	stores, err := d.Open(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return stores
}
