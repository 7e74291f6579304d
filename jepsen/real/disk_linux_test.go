// SPDX-License-Identifier: Apache-2.0

package real

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/disk"
)

const (
	// loaders is how many clients write at once.
	loaders = 32
	// exitStorage is the exit code of a node whose store has failed.
	exitStorage = 10
	// reserve is what a node keeps free of its disk, in bytes.
	reserve = 16 << 20
)

// onDisk is a node alone, so that all that is acknowledged must be on its disk.
type onDisk struct {
	*testing.T
	*Cluster
	disk   *disk.Disk
	client *client.Client
	acked  []string // keys, each with its value
	rounds int
	lost   int64 // bytes that were not synced
}

// newOnDisk starts a node whose directory is a disk that can fail.
func newOnDisk(t *testing.T) *onDisk {
	t.Helper()
	binary, dir := build(t), t.TempDir()
	at := filepath.Join(dir, "n1")
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := disk.Mount(at, disk.Config{Seed: 1, Strict: true, Capacity: 256 << 20})
	if err != nil {
		if os.Getenv("DYNO_RIG") == "require" {
			t.Fatal(err)
		}
		t.Skip("no disk can be mounted here: ", err)
	}
	n := &onDisk{T: t, disk: d}
	t.Cleanup(func() { n.check(d.Close()) })
	n.Cluster, err = Start(t.Context(), binary, dir, 1, "--disk-reserve", fmt.Sprint(reserve))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.check(n.Cluster.Close()) })
	if n.client, err = n.Client(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.client.Close)
	return n
}

func (n *onDisk) check(err error) {
	n.Helper()
	if err != nil {
		n.Error(err)
	}
}

func (n *onDisk) must(err error) {
	n.Helper()
	if err != nil {
		n.Fatal(err)
	}
}

// value is what is written under a key: more than a page of some of them, so that what is
// torn is torn within them.
func value(key string) []byte {
	return []byte(strings.Repeat(key+" ", 1+len(key)*int(key[len(key)-1]-'0')*12))
}

// load has clients write. Once so much is acknowledged in all, then is called, and done while
// they go on until writes fail, or done returns.
func (n *onDisk) load(acked int, then, done func()) {
	n.Helper()
	n.rounds++
	ctx, cancel := context.WithTimeout(n.Context(), settleTime)
	defer cancel()
	var mu sync.Mutex
	var wait sync.WaitGroup
	bucket, reached := n.client.Bucket("default"), make(chan struct{})
	for w := range loaders {
		wait.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("r%d-w%d-%d", n.rounds, w, i)
				_, err := bucket.Put(ctx, []byte(key), value(key), client.WithTimeout(soon))
				if err != nil {
					return // it may be there, or not
				}
				mu.Lock()
				if n.acked = append(n.acked, key); len(n.acked) == acked {
					then()
					close(reached)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-reached:
		done()
	case <-ctx.Done():
		n.Errorf("%d of %d writes are acknowledged", len(n.acked), acked)
	}
	cancel()
	wait.Wait()
}

// whole reads all that was acknowledged.
func (n *onDisk) whole() {
	n.Helper()
	n.must(n.Ready(n.Context(), 0))
	gone := 0
	for _, key := range n.acked {
		read, err := n.client.Bucket("default").Get(n.Context(), []byte(key))
		var got []byte
		if err == nil {
			got, err = read.Value()
		}
		if err != nil || !bytes.Equal(got, value(key)) {
			gone++
			if gone <= 3 {
				n.Errorf("%s was acknowledged, and is read as %.60q, %v", key, got, err)
			}
		}
	}
	if gone > 0 {
		n.Errorf("%d of %d acknowledged writes are gone", gone, len(n.acked))
	}
}

// cut takes the power away of a disk whose node is dead, and starts it again.
func (n *onDisk) cut(torn bool) {
	n.Helper()
	lost, err := n.disk.PowerLoss(torn)
	n.must(err)
	n.lost += lost.Bytes + lost.Kept
	n.disk.Set(disk.Faults{})
	n.must(n.Restart(0))
	n.whole()
}

// TestANodeOnADisk has one node suffer what disks do, one after the other. After each it is
// asked for all that it has ever acknowledged.
func TestANodeOnADisk(t *testing.T) {
	n := newOnDisk(t)
	rounds, each := 1, 300
	if os.Getenv("DYNO_LONG") != "" {
		rounds, each = 5, 2000
	}
	for range rounds {
		for _, step := range []struct {
			name string
			do   func(*onDisk, int)
		}{
			{"loses power", losesPower}, {"a torn one", losesPowerTorn},
			{"a failed sync", failsASync}, {"it is full", isFull},
			{"bits turn", bitsTurn},
		} {
			ok := t.Run(step.name, func(t *testing.T) {
				n.T = t
				step.do(n, each)
				t.Logf("%d acknowledged, %d bytes were not synced", len(n.acked), n.lost)
			})
			if n.T = t; !ok {
				return
			}
		}
	}
}

func losesPower(n *onDisk, each int)     { n.losesPower(each, false) }
func losesPowerTorn(n *onDisk, each int) { n.losesPower(each, true) }

// losesPower has the power go in the middle of a sync, under load.
func (n *onDisk) losesPower(each int, torn bool) {
	before := n.disk.Counts()
	n.load(len(n.acked)+each, func() { n.disk.Set(disk.Faults{Stall: true}) }, func() {
		n.must(n.await(n.Context(), func(context.Context) string {
			if n.disk.Counts().SlowSyncs == before.SlowSyncs {
				return "no sync"
			}
			return ""
		}))
		n.must(n.Kill(0))
	})
	had := n.lost
	n.cut(torn)
	if after := n.disk.Counts(); n.lost == had || after.CutSyncs == before.CutSyncs {
		n.Errorf("it did not bite: %+v", after)
	}
}

// failsASync has one sync fail under load: the node ends, with its exit code for this, and
// does not rely on what a later sync would say.
func failsASync(n *onDisk, each int) {
	before := n.disk.Counts()
	n.load(len(n.acked)+each, func() { n.disk.Set(disk.Faults{FailSyncAfter: 3}) }, func() {
		code, err := n.nodes[0].wait(killTime)
		n.must(err)
		if code != exitStorage {
			n.Errorf("it ended with code %d, want %d", code, exitStorage)
		}
	})
	if after := n.disk.Counts(); after.FailedSyncs != before.FailedSyncs+1 {
		n.Errorf("it did not bite: %+v", after)
	}
	n.cut(false)
}

// isFull leaves less room than the node's reserve: it refuses writes, serves reads, and takes
// writes again once there is room.
func isFull(n *onDisk, each int) {
	until := func(refused bool) {
		n.Helper()
		n.must(n.await(n.Context(), func(ctx context.Context) string {
			_, err := n.client.Bucket("default").Put(ctx, []byte("?"), nil, client.WithTimeout(soon))
			if refused == (err != nil && strings.Contains(err.Error(), "disk is nearly full")) {
				return ""
			}
			return fmt.Sprintf("a put says: %v", err)
		}))
	}
	n.load(len(n.acked)+each, func() {}, func() {})
	n.disk.Set(disk.Faults{Free: reserve / 2})
	until(true)
	n.whole()
	n.disk.Set(disk.Faults{})
	until(false)
	n.must(n.Kill(0))
	n.cut(true)
}

// bitsTurn has bits turn in the log of what was written last. The node must not serve what is
// before them and call the rest absent: it refuses to start.
func bitsTurn(n *onDisk, each int) {
	n.load(len(n.acked)+each, func() {}, func() {})
	n.must(n.Kill(0))
	backup, err := n.disk.Copy()
	n.must(err)
	const bits = 64
	turned, err := n.disk.Flip(rand.New(rand.NewPCG(1, 1)), bits, func(path string) bool {
		return strings.HasPrefix(path, "data/") && strings.HasSuffix(path, ".mem")
	})
	n.must(err)
	n.must(n.Restart(0))
	code, err := n.nodes[0].wait(killTime)
	n.must(err)
	said, err := os.ReadFile(n.Log(0))
	n.must(err)
	if turned != bits || code != exitStorage || !bytes.Contains(said, []byte("is damaged")) {
		n.Errorf("%d bits were turned, and it ended with code %d, want %d", turned, code, exitStorage)
	}
	n.must(n.disk.Restore(backup))
	n.must(n.Restart(0))
	n.whole()
}
