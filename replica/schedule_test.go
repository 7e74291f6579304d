// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// world is one store through many lives, and the rest of its cluster as far as it
// matters: a place where every object that was ever sent is merged.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	life    *life
	lives   uint64
	foreign uint64 // counter of another owner

	mu     sync.Mutex // guards what follows: answers come from the store's goroutines
	seen   dots
	bases  map[vclock.Dot]vclock.Context // what each write was based on
	others map[string]kv.Object          // what the other owners hold
	acked  map[string][]vclock.Dot       // durable here, told to somebody
	tries  []*MintRequest                // with request ids, to be tried again
	dotOf  map[kv.RequestID]vclock.Dot   // of acknowledged ones
	count  map[string]int                // what happened, so that nothing is missing

	requestOf map[vclock.Dot]kv.RequestID
	twins     map[kv.RequestID][]vclock.Dot
}

const worldKeys = 6

// TestNoDotIsIssuedTwiceAndNoAcknowledgedWriteIsLost runs random schedules of mints,
// copies, retries, crashes, stops, restarts and injected errors on an engine that
// forgets what was not synced. After each restart and at the end, everything that was
// acknowledged must be there or have been overwritten by somebody who had read it.
func TestNoDotIsIssuedTwiceAndNoAcknowledgedWriteIsLost(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	total := make(map[string]int)
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed)
				for range 120 {
					w.step()
				}
				w.settle()
				for what, n := range w.count {
					total[what] += n
				}
			})
		})
	}
	for _, what := range []string{
		"minted", "unanswered", "repeated", "copied", "crashed", "stopped", "resumed", "begun",
		"unreadable", "failed",
	} {
		if total[what] == 0 {
			t.Errorf("the schedules never had anything %s", what)
		}
	}
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 2)), seen: dots{},
		bases: make(map[vclock.Dot]vclock.Context), others: make(map[string]kv.Object),
		acked: make(map[string][]vclock.Dot), dotOf: make(map[kv.RequestID]vclock.Dot),
		count: make(map[string]int), requestOf: make(map[vclock.Dot]kv.RequestID),
		twins: make(map[kv.RequestID][]vclock.Dot),
	}
	w.start(setup{verdict: kv.VerdictConfirmed})
	return w
}

func (w *world) start(s setup) {
	w.lives++
	s.rand, s.shards = rand.New(rand.NewPCG(w.rng.Uint64(), w.lives)), 1+w.rng.IntN(2)
	w.life = begin(w.t, s)
	w.life.engine.SetSyncTime(time.Duration(w.rng.IntN(3)) * 5 * time.Millisecond)
	w.check()
}

func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 45:
		w.mint(nil)
	case n < 55:
		w.retry()
	case n < 80:
		w.copy()
	case n < 85:
		time.Sleep(time.Duration(w.rng.IntN(20)) * time.Millisecond)
	case n < 89:
		w.life.engine.FailRead(1+w.rng.IntN(3), errors.New("bad sector"))
		w.happened("unreadable")
	case n < 90:
		w.life.engine.FailSync(1, errors.New("the disk is gone"))
		w.mint(nil)
		w.restart(true)
		w.happened("failed")
	case n < 95:
		w.restart(true)
	default:
		w.restart(false)
	}
}

func (w *world) key() string { return fmt.Sprintf("key-%d", w.rng.IntN(worldKeys)) }

// mint writes a value, or tries a write again; now and then it does not wait for the end.
func (w *world) mint(again *MintRequest) {
	req := again
	if req == nil {
		key := w.key()
		var base vclock.Context
		if w.rng.IntN(3) > 0 {
			base = w.elsewhere(key).Context
		}
		req = w.life.putting(key, fmt.Sprintf("value %d", w.rng.Uint64()), base)
		if w.rng.IntN(2) == 0 {
			req.Request = requestID(w.rng.Uint64())
			w.tries = append(w.tries, req)
		}
	}
	one := *req
	key := string(one.Key)
	one.Minted = func(m MintReply) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen.see(w.t, m.Object)
		if !m.Repeat {
			w.bases[m.Dot] = one.Seen
			if !one.Request.IsZero() {
				w.requestOf[m.Dot] = one.Request
				w.twins[one.Request] = append(w.twins[one.Request], m.Dot)
			}
		}
		w.others[key] = kv.Merge(w.others[key], m.Object) // the sends go out
	}
	one.Done = func(m MintReply) { w.minted(key, &one, m) }
	w.life.Mint(&one)
	if w.rng.IntN(4) > 0 {
		time.Sleep(20 * time.Millisecond)
	} else {
		w.happened("unanswered")
	}
}

func (w *world) happened(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[what]++
}

// elsewhere is what the other owners hold of a key.
func (w *world) elsewhere(key string) kv.Object {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.others[key]
}

func (w *world) minted(key string, req *MintRequest, m MintReply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.Code != wire.ReplicaOK {
		return
	}
	w.count["minted"]++
	if m.Repeat {
		w.count["repeated"]++
		if dot, known := w.dotOf[req.Request]; known && dot != m.Dot {
			w.t.Errorf("request %x was answered with %s, then with %s", req.Request, dot, m.Dot)
		}
	}
	w.acked[key] = append(w.acked[key], m.Dot)
	if !req.Request.IsZero() {
		w.dotOf[req.Request] = m.Dot
	}
}

func (w *world) retry() {
	if len(w.tries) > 0 {
		again := *w.tries[w.rng.IntN(len(w.tries))]
		again.Target = w.life.target(string(again.Key))
		w.mint(&again)
	}
}

// copy brings what the others hold, with a write of one of them from time to time.
func (w *world) copy() {
	key := w.key()
	o := w.elsewhere(key)
	if w.rng.IntN(3) == 0 {
		o = w.writeElsewhere(key, o)
	}
	w.life.Store(StoreRequest{
		StoreRequest: w.life.copying(key, o), Done: func(r wire.StoreReply) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if r.Code == wire.ReplicaOK {
				w.count["copied"]++
				for _, v := range o.Versions {
					w.acked[key] = append(w.acked[key], v.Dot)
				}
			}
		},
	})
	time.Sleep(time.Duration(w.rng.IntN(2)) * 20 * time.Millisecond)
}

// writeElsewhere is a write that another owner minted over o.
func (w *world) writeElsewhere(key string, o kv.Object) kv.Object {
	w.mu.Lock()
	defer w.mu.Unlock()
	var base vclock.Context
	if w.rng.IntN(2) == 0 {
		base = o.Context
	}
	w.foreign++
	v := kv.Version{
		Dot: vclock.Dot{Actor: 2<<48 | 7, Counter: w.foreign}, Kind: kv.KindValue,
		Value: fmt.Append(nil, w.rng.Uint64()),
	}
	next, err := o.Put(v.Sealed(), base)
	if err != nil {
		w.t.Fatal(err)
	}
	w.bases[v.Dot] = base
	w.seen.see(w.t, next)
	w.others[key] = kv.Merge(w.others[key], next)
	return next
}

// restart ends the life, in order or not, and begins the next.
func (w *world) restart(crash bool) {
	w.life.engine.FailRead(0, nil)
	marks := 0
	var s setup
	if crash {
		s = w.life.crashed(w.rng)
		s.past.Stop = []Stop{StopKilled, StopPowerLoss}[w.rng.IntN(2)]
		w.happened("crashed")
	} else {
		s = w.life.stopped()
		marks = len(s.past.Marks)
		w.happened("stopped")
	}
	s.verdict = kv.VerdictConfirmed
	if w.rng.IntN(3) == 0 {
		s.verdict = kv.VerdictUnknown
	}
	if marks > 0 && s.verdict == kv.VerdictConfirmed {
		w.happened("resumed")
	} else {
		w.happened("begun")
	}
	w.start(s)
	if s.verdict == kv.VerdictUnknown && w.rng.IntN(2) == 0 {
		w.life.Confirm(kv.VerdictConfirmed)
	}
}

// check looks for what was acknowledged by this store.
func (w *world) check() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, list := range w.acked {
		r := w.life.read(key)
		if r.Code != wire.ReplicaOK {
			w.t.Fatalf("read %s: code %d, %s", key, r.Code, r.Detail)
		}
		w.holds(key, r.Object, list)
	}
	if w.life.Rollbacks() != 0 || w.life.Collisions() != 0 {
		w.t.Errorf("%d rollbacks, %d collisions", w.life.Rollbacks(), w.life.Collisions())
	}
}

// holds reports acknowledged writes that an object lacks although nobody overwrote them.
func (w *world) holds(key string, o kv.Object, list []vclock.Dot) {
	w.t.Helper()
	w.seen.see(w.t, o)
	for _, d := range list {
		if !o.Context.Contains(d) {
			w.t.Errorf("%s: the acknowledged write %s is lost", key, d)
			continue
		}
		if _, there := o.Find(d); there || w.overwritten(o, d) {
			continue
		}
		w.t.Errorf("%s: %s is gone, and nobody who wrote had read it", key, d)
	}
}

// overwritten reports that some write which o knows of was based on d, or that o has seen
// a twin of d: another try of the same request, whose first dot a crash took.
func (w *world) overwritten(o kv.Object, d vclock.Dot) bool {
	for dot, base := range w.bases {
		if base.Contains(d) && o.Context.Contains(dot) {
			return true
		}
	}
	for _, twin := range w.twins[w.requestOf[d]] {
		if twin != d && o.Context.Contains(twin) {
			return true
		}
	}
	return false
}

// settle ends the schedule: everything that was sent comes here, and nothing is missing.
func (w *world) settle() {
	w.life.engine.FailRead(0, nil)
	time.Sleep(time.Second)
	w.restart(false)
	w.life.engine.SetSyncTime(0)
	w.mu.Lock()
	others := maps.Clone(w.others)
	w.mu.Unlock()
	for key, o := range others {
		w.life.copy(key, o)
		all := w.life.object(key)
		w.holds(key, all, w.acked[key])
		for _, v := range o.Versions {
			if _, there := all.Find(v.Dot); !there && !w.overwritten(all, v.Dot) {
				w.t.Errorf("%s: the others' %s is not here", key, v.Dot)
			}
		}
	}
	if err := w.life.end(); err != nil && !errors.Is(err, storage.ErrFailed) {
		w.t.Error(err)
	}
}
