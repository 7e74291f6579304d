// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

const (
	self       kv.NodeID   = 1
	instance   kv.Instance = 7
	partitions             = 4
)

// newRing is a ring of three members that all own every partition, at placement 5.
func newRing(t testing.TB) *ring.Ring {
	t.Helper()
	var members []ring.Member
	for id := kv.NodeID(1); id <= 3; id++ {
		members = append(members, ring.Member{
			ID: id, Name: fmt.Sprintf("n%d", id), Weight: 1, Instance: instance,
			Client: fmt.Sprintf("h%d:1", id), Peer: fmt.Sprintf("h%d:2", id),
			Gossip: fmt.Sprintf("h%d:3", id),
		})
	}
	state, err := ring.Form(ring.ClusterID{1, 2, 3}, 3, partitions, members, 5)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ring.New(state)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// changed returns the ring after a change of its state.
func changed(t testing.TB, r *ring.Ring, change func(*ring.State)) *ring.Ring {
	t.Helper()
	state := r.State()
	change(&state)
	next, err := ring.New(state)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// dots is what the whole cluster must agree on: of every dot ever issued, one content.
type dots map[vclock.Dot]uint64

// see reports a dot that was issued with another content before.
func (d dots) see(t testing.TB, o kv.Object) {
	t.Helper()
	for _, v := range o.Versions {
		if sum, known := d[v.Dot]; known && sum != v.Checksum {
			t.Errorf("dot %s was issued twice, for different contents", v.Dot)
		}
		d[v.Dot] = v.Checksum
	}
}

// life is one life of one store.
type life struct {
	*Replica
	t      testing.TB
	ring   atomic.Pointer[ring.Ring]
	engine *storage.Memory
	store  *storage.Store
	stop   context.CancelFunc
	ended  chan error
	mu     sync.Mutex // of the incarnations' source
	kept   []wire.Purges
}

// setup says what may differ from one life to the next.
type setup struct {
	// onEngine is an engine that is none of Memory, which the life then does not have.
	onEngine storage.Engine
	engine   *storage.Memory // nil: empty
	past     Past
	// verdict is the group's, given at the start; 0: none yet, the store serves nothing.
	verdict kv.Verdict
	sink    trace.Sink
	points  *fail.Set
	// storePoints are those of the store.
	storePoints *fail.Set
	rand        *rand.Rand // of incarnations
	shards      int
	clock       func() time.Time       // nil: the bubble's
	deleted     func(kv.BucketID) bool // nil: none
	log         *zap.Logger            // nil: none
	ring        *ring.Ring             // nil: newRing
	hints       int64                  // bytes; 0: as by default
	// keep makes fences durable; nil: nothing does.
	keep func([]wire.PlacementFence) error
}

// begin starts a life. It ends by stopped or crashed, or with the test.
func begin(t testing.TB, s setup) *life {
	t.Helper()
	if s.engine == nil {
		s.engine = storage.NewMemory()
	}
	if s.past.Stop == 0 {
		s.past.Stop = StopNone
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.rand == nil {
		s.rand = rand.New(rand.NewPCG(rand.Uint64(), 0)) // no two lives alike
	}
	cfg := storage.DefaultConfig()
	cfg.Shards, cfg.CacheBytes, cfg.Points = max(1, s.shards), 1<<20, s.storePoints
	if s.onEngine == nil {
		s.onEngine = s.engine
	} else {
		cfg.CacheBytes = storage.DefaultConfig().CacheBytes
	}
	store, err := storage.Open(cfg, s.onEngine, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	l := &life{t: t, engine: s.engine, store: store, ended: make(chan error, 1)}
	if s.ring == nil {
		s.ring = newRing(t)
	}
	l.ring.Store(s.ring)
	l.Replica, err = New(Config{
		Node: self, Instance: instance, Partitions: partitions, Ring: l.ring.Load, Now: s.clock,
		Incarnation: func() uint64 { // in any shard
			l.mu.Lock()
			defer l.mu.Unlock()
			return s.rand.Uint64N(vclock.MaxIncarnation) + 1
		},
		Points: s.points, Trace: trace.New(uint16(self), s.sink), Deleted: s.deleted,
		HintBytes: s.hints,
		KeepPurges: func(p wire.Purges) error {
			l.kept = append(l.kept, p)
			return nil
		},
		KeepFences: s.keep,
	}, store, s.past, s.log)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Journal(func(e wire.JournalEntry) error { l.Recall(e); return nil }); err != nil {
		t.Fatal(err)
	}
	if s.verdict != 0 {
		l.Confirm(s.verdict)
	}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	go func() { l.ended <- store.Run(ctx) }()
	t.Cleanup(func() { _ = l.end() })
	return l
}

// end waits for the store; only the first call does something.
func (l *life) end() error {
	if l.stop == nil {
		return nil
	}
	l.stop()
	l.stop = nil
	return errors.Join(<-l.ended, l.store.Close())
}

// fresh is the first life of a store that the group has accepted.
func fresh(t testing.TB) *life { return begin(t, setup{verdict: kv.VerdictConfirmed}) }

// stopped ends the life in order, and returns what the next finds.
func (l *life) stopped() setup {
	l.t.Helper()
	if err := l.end(); err != nil {
		l.t.Errorf("the store ended with %v", err)
	}
	actors, stamp := l.CleanActors()
	return setup{
		engine: l.engine.Crash(nil),
		past:   Past{Stop: StopClean, Marks: actors, Stamp: stamp, Purges: l.kept},
	}
}

// crashed ends the life by power loss; chance decides about the commit under way.
func (l *life) crashed(chance *rand.Rand) setup {
	l.t.Helper()
	after := l.engine.Crash(chance)
	_ = l.end() // a crashed engine fails
	return setup{engine: after, past: Past{Stop: StopPowerLoss, Purges: l.kept}}
}

// target addresses a key of bucket 1 at this replica as the present ring has it.
func (l *life) target(key string) wire.Target {
	r := l.ring.Load()
	p := r.PartitionOf(1, []byte(key))
	return wire.Target{
		Bucket: 1, Partition: p, Key: []byte(key), Placement: r.Placement(p).Version,
		Instance: instance, RemainingMS: 1000,
	}
}

// putting is a mint request for a value.
func (l *life) putting(key, value string, seen vclock.Context) *MintRequest {
	return &MintRequest{
		Target: l.target(key), Role: kv.RoleOwner, Kind: kv.KindValue, Value: []byte(value), Seen: seen,
	}
}

// mint runs a mint to its end.
func (l *life) mint(req *MintRequest) MintReply {
	l.t.Helper()
	done := make(chan MintReply, 2)
	req.Done = func(m MintReply) { done <- m }
	l.Mint(req)
	m := <-done
	synctest.Wait()
	if len(done) > 0 {
		l.t.Error("Done was called twice")
	}
	return m
}

// put mints a value and expects success.
func (l *life) put(key, value string, seen vclock.Context) MintReply {
	l.t.Helper()
	m := l.mint(l.putting(key, value, seen))
	if m.Code != wire.ReplicaOK {
		l.t.Fatalf("put %s=%s: code %d, %s", key, value, m.Code, m.Detail)
	}
	return m
}

// copying is a request to merge an object, as another owner's put sends it.
func (l *life) copying(key string, o kv.Object) *wire.StoreRequest {
	return &wire.StoreRequest{
		Target: l.target(key), Role: kv.RoleOwner, Class: kv.ClassClientWrite, Object: o,
	}
}

// merge runs a store request to its end.
func (l *life) merge(req *wire.StoreRequest) wire.StoreReply {
	l.t.Helper()
	done := make(chan wire.StoreReply, 2)
	l.Store(StoreRequest{StoreRequest: req, Done: func(r wire.StoreReply) { done <- r }})
	r := <-done
	synctest.Wait()
	if len(done) > 0 {
		l.t.Error("Done was called twice")
	}
	return r
}

// copy stores another owner's object and expects success.
func (l *life) copy(key string, o kv.Object) {
	l.t.Helper()
	if r := l.merge(l.copying(key, o)); r.Code != wire.ReplicaOK {
		l.t.Fatalf("copy of %s: code %d, %s", key, r.Code, r.Detail)
	}
}

func (l *life) read(key string) wire.ReadReply {
	return l.Read(&wire.ReadRequest{Target: l.target(key), Mode: wire.ReadFull})
}

// object is the replica's copy of a key.
func (l *life) object(key string) kv.Object {
	l.t.Helper()
	r := l.read(key)
	if r.Code != wire.ReplicaOK {
		l.t.Fatalf("read %s: code %d, %s", key, r.Code, r.Detail)
	}
	return r.Object
}

// damage spoils the record of a key on the disk.
func (l *life) damage(key string) {
	l.t.Helper()
	t := l.target(key)
	record := wire.AppendObjectKey(nil, t.Partition, t.Bucket, t.Key)
	spoil := func(b []byte) []byte { b[len(b)-1] ^= 0xff; return b }
	if !l.engine.Damage(record, spoil) {
		l.t.Fatalf("%s has no record", key)
	}
}

// values are an object's values, sorted.
func values(o kv.Object) []string {
	list := make([]string, 0, len(o.Versions))
	for _, v := range o.Versions {
		list = append(list, string(v.Value))
	}
	slices.Sort(list)
	return list
}

// foreign is an object with one version of another node's, over what seen covers.
func foreign(counter uint64, value string, o kv.Object, seen vclock.Context) kv.Object {
	dot := vclock.Dot{Actor: 2<<48 | 99, Counter: counter}
	v := kv.Version{
		Dot: dot, Kind: kv.KindValue, Value: []byte(value), Stamp: kv.Stamp(counter),
		Fence: o.Fence,
	}
	out, err := o.Put(v.Sealed(), seen)
	if err != nil {
		panic(err)
	}
	return out
}

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}
