// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	self       kv.NodeID   = 1
	life       kv.Instance = 20
	instance   kv.Instance = 7 // of the others
	partitions             = 4
)

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// owner is another owner of all partitions.
type owner struct {
	objects map[string]kv.Object
	fenced  bool
	epoch   kv.PurgeEpoch // that it has adopted
	down    bool
	damaged bool
	scans   int
}

// lab is a store that is filled, and the rest of its cluster as it sees it.
type lab struct {
	t      *testing.T
	mu     sync.Mutex // held by whatever the refill asks, and by tests that change something meanwhile
	ring   *ring.Ring
	refill ring.Refill
	local  *replica.Replica
	owners map[kv.NodeID]*owner
	notes  []wire.RefillSource

	epoch    kv.PurgeEpoch // that is committed, of all partitions
	kept     []wire.Purges
	active   bool
	finished []ring.Source
	fence    kv.PlacementVersion
	saves    int
	failSave error
	// meet is called before each scan is answered.
	meet func(kv.NodeID, *wire.ScanRequest)
}

func newLab(t *testing.T, tune ...func(*storage.Config)) *lab {
	l := &lab{t: t, active: true, owners: map[kv.NodeID]*owner{}}
	var members []ring.Member
	for id := kv.NodeID(1); id <= 3; id++ {
		members = append(members, ring.Member{
			ID: id, Name: fmt.Sprintf("n%d", id), Weight: 1, Instance: instance,
		})
		if id != self {
			l.owners[id] = &owner{objects: map[string]kv.Object{}}
		}
	}
	members[0].Instance = life
	state, err := ring.Form(ring.ClusterID{1, 2, 3}, 3, partitions, members, 5)
	if err == nil {
		state.Placements, l.refill, err = ring.BeginRefill(state.Placements, self, 9)
	}
	if err == nil {
		l.ring, err = ring.New(state)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.open(tune...)
	return l
}

// open opens the empty store.
func (l *lab) open(tune ...func(*storage.Config)) {
	cfg := storage.DefaultConfig()
	for _, change := range tune {
		change(&cfg)
	}
	store, err := storage.Open(cfg, storage.NewMemory(), zap.NewNop())
	if err != nil {
		l.t.Fatal(err)
	}
	l.local, err = replica.New(replica.Config{
		Node: self, Instance: life, Partitions: partitions, Now: time.Now,
		Ring:        func() *ring.Ring { return l.ring },
		Incarnation: func() uint64 { return 1 },
		KeepFences:  func([]wire.PlacementFence) error { return nil },
		KeepPurges: func(p wire.Purges) error {
			l.kept = append(l.kept, p)
			return nil
		},
	}, store, replica.Past{Stop: replica.StopNone, Filling: true}, zap.NewNop())
	if err != nil {
		l.t.Fatal(err)
	}
	l.local.Confirm(kv.VerdictConfirmed)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- store.Run(ctx) }()
	l.t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, store.Close()); err != nil {
			l.t.Error(err)
		}
	})
}

// filler is a new process that fills the store.
func (l *lab) filler() *Filler {
	cfg := DefaultConfig()
	cfg.Node, cfg.Instance, cfg.PageKeys = self, life, 3
	cfg.Ring = func() *ring.Ring { return l.ring }
	cfg.Buckets = func() []kv.Bucket { return []kv.Bucket{kv.BuiltinBucket(3)} }
	f, err := New(cfg, Parts{Local: l.local, Peers: l, Group: l, Notes: l, Budget: l}, zap.NewNop())
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

// hold lets an owner hold a version of a key.
func (l *lab) hold(node kv.NodeID, key string, counter uint64, value string) {
	dot := vclock.Dot{Actor: vclock.Actor(node)<<48 | 99, Counter: counter}
	v := kv.Version{Dot: dot, Kind: kv.KindValue, Value: []byte(value), Stamp: kv.Stamp(counter)}
	o, err := l.owners[node].objects[key].Put(v.Sealed(), vclock.Context{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.owners[node].objects[key] = o
}

// whole checks that the store has all that the owners hold.
func (l *lab) whole() {
	l.t.Helper()
	for node, o := range l.owners {
		for key, object := range o.objects {
			p := l.ring.PartitionOf(kv.DefaultBucket, []byte(key))
			lacks, err := l.local.Lacks(p, kv.DefaultBucket, []byte(key), object)
			if err != nil || lacks {
				l.t.Errorf("%s of node %d is not here: %v", key, node, err)
			}
		}
	}
}

func (l *lab) standing(node kv.NodeID, p uint16) wire.Standing {
	return wire.Standing{
		Role: kv.RoleOwner, Placement: l.ring.Placement(p).Version, Confirmed: true,
		Instance: l.ring.Instance(node), Epoch: l.owners[node].epoch,
	}
}

var errDown = errors.New("it is down")

func (l *lab) Fence(
	node kv.NodeID, q *wire.FenceRequest, _ time.Time, done func(wire.FenceReply, error),
) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.owners[node]
	if o.down {
		done(wire.FenceReply{}, errDown)
		return
	}
	if q.Node != self || q.Life != life || q.Since != l.refill.Since {
		l.t.Errorf("fenced by %+v", q)
	}
	o.fenced = true
	done(wire.FenceReply{Instance: l.ring.Instance(node), Code: wire.ReplicaOK}, nil)
}

func (l *lab) Scan(
	node kv.NodeID, q *wire.ScanRequest, _ time.Time, done func(wire.ScanReply, error),
) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.owners[node]
	if l.meet != nil {
		l.meet(node, q)
	}
	if o.down {
		done(wire.ScanReply{}, errDown)
		return
	}
	if !o.fenced {
		l.t.Errorf("node %d is copied before it is fenced", node)
	}
	o.scans++
	reply := wire.ScanReply{Standing: l.standing(node, q.Partition), Code: wire.ReplicaOK}
	if o.damaged {
		reply.Code, reply.Detail = wire.ReplicaUnreadable, "damaged"
		done(reply, nil)
		return
	}
	var keys []string
	for key := range o.objects {
		there := l.ring.PartitionOf(q.Bucket, []byte(key)) == q.Partition
		if there && bytes.Compare([]byte(key), q.Key) > 0 {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	reply.More = len(keys) > int(q.Limit)
	for _, key := range keys[:min(len(keys), int(q.Limit))] {
		object := o.objects[key]
		if q.Mode == wire.ReadBare {
			object = object.WithoutValues()
		}
		reply.Entries = append(reply.Entries, wire.ScanEntry{Key: []byte(key), Object: object})
	}
	done(reply, nil)
}

func (l *lab) Read(
	node kv.NodeID, q *wire.ReadRequest, _ time.Time, done func(wire.ReadReply, error),
) {
	l.mu.Lock()
	defer l.mu.Unlock()
	done(wire.ReadReply{
		Standing: l.standing(node, q.Partition), Code: wire.ReplicaOK,
		Object: l.owners[node].objects[string(q.Key)],
	}, nil)
}

// PurgeEpoch implements Group.
func (l *lab) PurgeEpoch(uint16) kv.PurgeEpoch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// Refill implements Group.
func (l *lab) Refill() ring.Refill {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.active {
		return ring.Refill{}
	}
	return l.refill
}

func (l *lab) lives(id kv.NodeID) (kv.Instance, bool) { return l.ring.Instance(id), id != self }

func (l *lab) placements() []ring.Placement { return l.ring.State().Placements }

// Missing implements Group by the real rule.
func (l *lab) Missing(sources []ring.Source) []kv.NodeID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refill.Missing(l.placements(), self, l.lives, sources)
}

// Finish implements Group by the real rule.
func (l *lab) Finish(_ context.Context, fence kv.PlacementVersion, sources []ring.Source) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	store := ring.Store{Instance: life, OpenSeq: 1}
	err := l.refill.Finish(l.placements(), self, store, l.lives,
		ring.Filled{Store: store, Fence: fence, Sources: sources})
	if err == nil {
		l.active, l.finished, l.fence = false, sources, fence
	}
	return err
}

// Load implements Notes.
func (l *lab) Load() ([]wire.RefillSource, error) {
	return wire.DecodeRefillRecord(wire.AppendRefillRecord(nil, l.notes))
}

// Save implements Notes.
func (l *lab) Save(notes []wire.RefillSource) error {
	l.saves++
	if l.failSave != nil {
		return l.failSave
	}
	record := wire.AppendRefillRecord(nil, notes)
	var err error
	l.notes, err = wire.DecodeRefillRecord(record)
	return err
}

// Take implements Budget.
func (l *lab) Take(ctx context.Context, _ int) error { return ctx.Err() }

// change changes something while a refill runs.
func (l *lab) change(how func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	how()
}
