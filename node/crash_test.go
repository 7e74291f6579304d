// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// strict is a write that counts confirmed owners only.
func strict(key, value string) wire.PutRequest {
	return wire.PutRequest{
		Key: []byte(key), Value: []byte(value),
		WriteOptions: wire.WriteOptions{W: kv.LevelQuorum, PW: kv.LevelQuorum},
	}
}

// strictly is a read that counts confirmed owners only.
func strictly(key string) wire.GetRequest {
	return wire.GetRequest{
		Key: []byte(key), ReadOptions: wire.ReadOptions{R: kv.LevelQuorum, PR: kv.LevelQuorum},
	}
}

// acknowledged remembers which writes were.
type acknowledged struct {
	mu   sync.Mutex
	keys []string
}

func (a *acknowledged) add(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = append(a.keys, key)
}

func (a *acknowledged) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.keys)
}

// write writes keys of its own through random nodes until stop is closed.
func (a *acknowledged) write(r *rig, name string, rng *rand.Rand, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		key := fmt.Sprintf("%s/%d", name, i)
		m := r.members[rng.IntN(len(r.members))]
		if err := once(r, m, strict(key, "value of "+key)); err == nil {
			a.add(key)
		}
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
	}
}

// once makes one request on a connection of its own.
func once(r *rig, m *member, q wire.PutRequest) error {
	s, err := r.connect(m)
	if err != nil {
		return err
	}
	defer s.stop()
	return s.put(q)
}

func TestKilledNodesLoseNoAcknowledgedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		for _, m := range r.members {
			m.data.SetSyncTime(2 * time.Millisecond) // so that kills find commits half done
		}
		r.startAll()
		var acked acknowledged
		stop := make(chan struct{})
		var writers sync.WaitGroup
		for i := range 4 {
			rng := r.random.source()
			writers.Go(func() { acked.write(r, fmt.Sprintf("w%d", i), rng, stop) })
		}
		rng := r.random.source()
		for range 8 {
			time.Sleep(time.Duration(500+rng.IntN(500)) * time.Millisecond)
			victim := r.members[rng.IntN(len(r.members))]
			victim.kill(rng.IntN(2) == 0)
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
			victim.start()
			r.awaitReady()
		}
		close(stop)
		writers.Wait()
		if acked.count() < 200 {
			t.Errorf("only %d writes were acknowledged", acked.count())
		}
		r.demand(acked.keys)
	})
}

func TestPowerLossOfAllNodesLosesNoAcknowledgedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		for _, m := range r.members {
			m.data.SetSyncTime(3 * time.Millisecond)
		}
		r.startAll()
		var acked acknowledged
		stop := make(chan struct{})
		var writers sync.WaitGroup
		for i := range 4 {
			rng := r.random.source()
			writers.Go(func() { acked.write(r, fmt.Sprintf("w%d", i), rng, stop) })
		}
		for range 3 {
			time.Sleep(time.Second)
			for _, m := range r.members {
				m.kill(true)
			}
			r.startAll()
		}
		close(stop)
		writers.Wait()
		if acked.count() < 100 {
			t.Errorf("only %d writes were acknowledged", acked.count())
		}
		r.demand(acked.keys)
	})
}

// demand wants every key read strictly at every node, with the one value that it had.
func (r *rig) demand(keys []string) {
	r.t.Helper()
	for i, key := range keys {
		s := r.members[i%len(r.members)].client()
		got, err := s.get(strictly(key))
		s.stop()
		if err != nil {
			r.t.Fatalf("read %s: %v", key, err)
		}
		if len(got.Siblings) != 1 || string(got.Siblings[0].Value) != "value of "+key {
			r.t.Errorf("%s was acknowledged, and is %+v", key, got.Siblings)
		}
	}
}

func TestFirstFailedSyncEndsTheNodeAndLeavesNoCleanMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[0]
		broken := errors.New("the test breaks the disk")
		m.data.FailSync(1, broken)
		err := m.client().put(strict("k", "v"))
		if err != nil && codeOf(err).Outcome(wire.OpWrite) != wire.OutcomeUnknown {
			t.Errorf("the writer was told %v, as if nothing were stored", err)
		}
		err = <-m.life.ended
		m.life = nil
		if !errors.Is(err, storage.ErrFailed) || !errors.Is(err, broken) {
			t.Errorf("Run returned %v, want ErrFailed and why", err)
		}
		if m.hasCleanMark() {
			t.Error("a store that failed has a clean mark")
		}
		if _, err := r.connect(m); err == nil {
			t.Error("the node still listens")
		}
		must(t, r.members[1].client().put(strict("k2", "v")))
		m.data, m.ctrl = m.data.Crash(nil), m.ctrl.Crash(nil)
		m.start()
		r.awaitReady()
		r.demand(nil)
		got, err := r.members[0].client().get(strictly("k2"))
		if err != nil || len(got.Siblings) != 1 {
			t.Errorf("after the repair: %+v, %v", got, err)
		}
	})
}

func TestControlStoreThatFailsEndsTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.members[0].ctrl.FailSync(2, errors.New("the test breaks the disk")) // as it is confirmed
		r.members[0].start()
		m := r.members[0]
		if err := <-m.life.ended; !errors.Is(err, storage.ErrFailed) {
			t.Errorf("Run returned %v, want ErrFailed", err)
		}
		m.life = nil
	})
}

// hasCleanMark looks at the disk of a member that does not run.
func (m *member) hasCleanMark() bool {
	_, found, err := m.ctrl.Get([]byte(wire.KeyCleanMark), m.ctrl.MaxVersion())
	return err == nil && found
}

// slow is an engine whose reads take a while, and that notes a close under a read.
type slow struct {
	storage.Engine
	reading atomic.Int64
	early   atomic.Bool
}

func (s *slow) Get(key []byte, ts uint64) ([]byte, bool, error) {
	s.reading.Add(1)
	defer s.reading.Add(-1)
	time.Sleep(time.Second)
	return s.Engine.Get(key, ts)
}

func (s *slow) Close() error {
	s.early.Store(s.reading.Load() > 0)
	return s.Engine.Close()
}

func TestStoreIsNotClosedUnderRequestsThatStillRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, 1)
		m := r.members[0]
		engine := &slow{Engine: m.data}
		r.tune = func(cfg *Config) {
			cfg.OpenStores = func(string, *zap.Logger) (*Stores, error) {
				return &Stores{
					Data: engine, Control: storage.OpenControl(m.ctrl, zap.NewNop()), Boot: m.boot,
					Release: func() error { return nil },
				}, nil
			}
		}
		r.startAll()
		m.data.FailSync(1, errors.New("the test breaks the disk"))
		s := m.client()
		go func() { _ = s.put(strict("k", "v")) }()
		time.Sleep(1500 * time.Millisecond) // so that reads are half done when it fails
		for range 3 {
			go func() { _, _ = s.get(wire.GetRequest{Key: []byte("other")}) }()
		}
		if err := <-m.life.ended; !errors.Is(err, storage.ErrFailed) {
			t.Errorf("Run returned %v, want ErrFailed", err)
		}
		m.life = nil
		if engine.early.Load() {
			t.Error("the engine was closed under a read")
		}
	})
}
