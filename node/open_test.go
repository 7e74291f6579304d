// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// watched counts how an engine is closed.
type watched struct {
	storage.Engine
	closed int
}

func (w *watched) Close() error {
	w.closed++
	return w.Engine.Close()
}

var errBroken = errors.New("the test breaks this step")

// Each way in which Open can fail, in the order of its steps.
func brokenSteps(m *member) map[string]func(*Config) {
	taken := func(addr string) func(*Config) {
		return func(cfg *Config) {
			listen := cfg.Listen
			cfg.Listen = func(ctx context.Context, at string) (net.Listener, error) {
				if at == addr {
					return nil, errBroken
				}
				return listen(ctx, at)
			}
		}
	}
	return map[string]func(*Config){
		"no such member":     func(cfg *Config) { cfg.Name = "n9" },
		"a faulty config":    func(cfg *Config) { cfg.DrainTimeout = 0 },
		"a faulty store":     func(cfg *Config) { cfg.Storage.Shards = 0 },
		"a faulty transport": func(cfg *Config) { cfg.GossipTransport = brokenTransport },
		"faulty gossip":      func(cfg *Config) { cfg.Gossip.ProbeInterval = -1 },
		"faulty liveness":    func(cfg *Config) { cfg.Liveness.Threshold = -1 },
		"a faulty carrier":   func(cfg *Config) { cfg.Coordinator.MaxFanOut = 0 },
		"a faulty server":    func(cfg *Config) { cfg.Server.MaxRequests = 0 },
		"peer port taken":    taken(m.Peer),
		"client port taken":  taken(m.Client),
	}
}

func brokenTransport(string) (gossip.Transport, error) { return nil, errBroken }

func TestOpenThatFailsLeavesNothingOpenAndTheDirectoryAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[0]
		must(t, m.client().put(strict("k", "v")))
		must(t, m.stop())
		before := m.controlRecords()
		if len(before[wire.KeyCleanMark]) == 0 {
			t.Fatal("a node that was stopped in order left no clean mark")
		}
		for name, spoil := range brokenSteps(m) {
			data, ctrl := &watched{Engine: m.data}, &watched{Engine: m.ctrl}
			opened, released := 0, 0
			cfg := m.config(&life{})
			cfg.OpenStores = func(string, *zap.Logger) (*Stores, error) {
				opened++
				return &Stores{
					Data: data, Control: storage.OpenControl(ctrl, zap.NewNop()), Boot: m.boot,
					Release: func() error { released++; return nil },
				}, nil
			}
			spoil(&cfg)
			node, err := Open(t.Context(), cfg, zap.NewNop())
			if err == nil {
				t.Errorf("%s: opened", name)
				must(t, node.Close())
			}
			if data.closed != opened || ctrl.closed != opened || released != opened {
				t.Errorf("%s: opened %d, closed data %d and control %d, released %d", name, opened,
					data.closed, ctrl.closed, released)
			}
			r.demandFree(name, m)
			if now := m.controlRecords(); !equal(now, before) {
				t.Errorf("%s: the control records are not what they were", name)
			}
		}
		m.start()
		r.awaitReady()
	})
}

func TestNodeThatIsNotRunLeavesTheDirectoryAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, 1)
		r.startAll()
		m := r.members[0]
		m.kill(false) // without a clean mark, and so it shall stay
		before := m.controlRecords()
		for range 3 {
			node, err := Open(t.Context(), m.config(&life{}), zap.NewNop())
			must(t, err)
			must(t, node.Close())
		}
		if !equal(m.controlRecords(), before) {
			t.Error("the control records are not what they were")
		}
		r.demandFree("close", m)
	})
}

// controlRecords are what the small store holds.
func (m *member) controlRecords() map[string][]byte {
	records := make(map[string][]byte)
	for _, key := range []string{wire.KeyIdentity, wire.KeyOpens, wire.KeyCleanMark} {
		record, found, err := m.ctrl.Get([]byte(key), m.ctrl.MaxVersion())
		must(m.rig.t, err)
		if found {
			records[key] = record
		}
	}
	return records
}

func equal(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for key, record := range a {
		if !bytes.Equal(record, b[key]) {
			return false
		}
	}
	return true
}

// demandFree wants every address of a member to be free.
func (r *rig) demandFree(when string, m *member) {
	r.t.Helper()
	for _, addr := range []string{m.Client, m.Peer, m.Gossip} {
		streams, err := r.net.Listen(addr)
		if err != nil {
			r.t.Errorf("%s: %s is still taken: %v", when, addr, err)
			continue
		}
		must(r.t, streams.Close())
	}
	packets, err := r.net.ListenPacket(m.Gossip)
	if err != nil {
		r.t.Errorf("%s: %s is still taken for packets: %v", when, m.Gossip, err)
		return
	}
	must(r.t, packets.Close())
}

func TestDirectoryOfAnotherMemberIsRefusedAndNotTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, 1)
		r.startAll()
		must(t, r.members[0].stop())
		must(t, r.members[1].stop())
		before := r.members[0].controlRecords()
		r.members[1].data, r.members[1].ctrl = r.members[0].data, r.members[0].ctrl
		_, err := Open(t.Context(), r.members[1].config(&life{}), zap.NewNop())
		if !errors.Is(err, ErrOtherIdentity) {
			t.Errorf("opened with %v, want ErrOtherIdentity", err)
		}
		if !equal(r.members[0].controlRecords(), before) {
			t.Error("the directory was touched")
		}
	})
}

// An operator who says that a store is lost, and forgets whom to join, wants no other cluster.
func TestALostStoreDoesNotFoundACluster(t *testing.T) {
	for _, bootstrap := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newRig(t, 1, 1).members[0]
			cfg := m.config(&life{})
			cfg.Group, cfg.Rejoin = nil, true
			cfg.Form.Addresses = wire.Addresses{Client: m.Client, Peer: m.Peer, Gossip: m.Gossip}
			if cfg.Form.Bootstrap = bootstrap; bootstrap {
				cfg.Form.Join = []string{"10.0.0.2:4610"}
			}
			node, err := Open(t.Context(), cfg, zap.NewNop())
			if err == nil {
				must(t, node.Close())
			}
			if !errors.Is(err, ErrRejoinAlone) || len(m.controlRecords()) > 0 {
				t.Errorf("opened with %v, want ErrRejoinAlone", err)
			}
		})
	}
}

func TestCleanMarkStandsOnlyBetweenACleanEndAndTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[0]
		must(t, m.client().put(strict("k", "v")))
		if m.hasCleanMark() {
			t.Error("a node that runs has a clean mark")
		}
		must(t, m.stop())
		if !m.hasCleanMark() {
			t.Error("a node that was stopped in order has none")
		}
		m.start()
		if m.hasCleanMark() {
			t.Error("a node that has been opened has a clean mark")
		}
		r.awaitReady()
		m.kill(false)
		if m.hasCleanMark() {
			t.Error("a node that was killed has a clean mark")
		}
		m.start()
		r.awaitReady()
	})
}

func TestStoreThatIsNeverConfirmedNeedsAPersonInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, 1)
		r.startAll()
		m := r.members[0]
		must(t, m.stop())
		opens := wire.Opens{Confirmed: -1, BootID: m.boot}
		for i := range uint64(maxOpens) {
			opens.List = append(opens.List, kv.Open{Seq: i + 1, Nonce: i + 1})
		}
		control := storage.OpenControl(m.ctrl, zap.NewNop())
		must(t, control.Put(wire.KeyOpens, wire.AppendOpensRecord(nil, &opens)))
		before := m.controlRecords()
		if _, err := Open(t.Context(), m.config(&life{}), zap.NewNop()); err == nil {
			t.Error("opened")
		}
		if !equal(m.controlRecords(), before) {
			t.Error("a refused opening was written down")
		}
	})
}

func TestDamagedControlRecordsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, key := range []string{wire.KeyIdentity, wire.KeyOpens, wire.KeyCleanMark} {
			r := newRig(t, 1, 1)
			r.startAll()
			m := r.members[0]
			must(t, m.stop())
			m.ctrl.Damage([]byte(key), func(b []byte) []byte {
				b[len(b)/2] ^= 1
				return b
			})
			_, err := Open(t.Context(), m.config(&life{}), zap.NewNop())
			if !errors.Is(err, storage.ErrUnreadable) {
				t.Errorf("%s: opened with %v, want ErrUnreadable", key, err)
			}
			r.demandFree(key, m)
		}
		time.Sleep(time.Minute)
	})
}
