// SPDX-License-Identifier: Apache-2.0

package real

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/disk"
)

// onDisks starts nodes that have a disk each, at their directories.
func onDisks(t *testing.T, nodes int) (*Cluster, []*disk.Disk) {
	t.Helper()
	binary, dir := build(t), t.TempDir()
	var disks []*disk.Disk
	for i := range nodes {
		at := filepath.Join(dir, fmt.Sprintf("n%d", i+1))
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		d, err := disk.Mount(at, disk.Config{Seed: uint64(i)})
		if err != nil {
			if os.Getenv("DYNO_RIG") == "require" {
				t.Fatal(err)
			}
			t.Skip("no disk can be mounted here: ", err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		disks = append(disks, d)
	}
	c, err := Start(t.Context(), binary, dir, nodes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, disks
}

// load puts keys of its own, each once, from several goroutines, and keeps those that were
// acknowledged.
type load struct {
	stop  context.CancelFunc
	group sync.WaitGroup
	mu    sync.Mutex
	acked []string
	more  chan struct{} // closed when there are enough
	want  int
}

const putters = 32

func startLoad(t *testing.T, c *client.Client, round, enough int) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop, more: make(chan struct{}), want: enough}
	for g := range putters {
		l.group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("round %d, %d of %d", round, i, g)
				_, err := c.Bucket("default").Put(ctx, []byte(key), []byte(key), client.WithTimeout(soon))
				if err == nil {
					l.add(key)
				}
			}
		})
	}
	return l
}

func (l *load) add(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked = append(l.acked, key); len(l.acked) == l.want {
		close(l.more)
	}
}

func (l *load) end() []string {
	l.stop()
	l.group.Wait()
	return l.acked
}

// TestAPowerLossOfAllNodesLosesNoAcknowledgedPut kills all nodes under load and takes the
// power of their disks away, in turn torn and plain.
func TestAPowerLossOfAllNodesLosesNoAcknowledgedPut(t *testing.T) {
	rounds, enough := 1, 200
	if os.Getenv("DYNO_LONG") != "" {
		rounds, enough = 10, 3000
	}
	c, disks := onDisks(t, 3)
	puts, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer puts.Close()
	var acked []string
	for round := range rounds {
		l := startLoad(t, puts, round, enough)
		select {
		case <-l.more:
		case <-time.After(settleTime):
			t.Errorf("round %d: %d puts in %v", round, len(l.end()), settleTime)
			return
		}
		for i := range disks {
			if err := c.Kill(i); err != nil {
				t.Error(err)
			}
		}
		acked = append(acked, l.end()...)
		for i, d := range disks {
			if _, err := d.PowerLoss(round%2 == 0); err != nil {
				t.Fatal(err)
			}
			if err := c.Restart(i); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Ready(t.Context(), c.all()...); err != nil {
			t.Fatal(err)
		}
		if n := missing(t, puts, acked); n > 0 || t.Failed() {
			t.Fatalf("round %d: %d of %d acknowledged puts are gone", round, n, len(acked))
		}
	}
	for i, d := range disks {
		t.Logf("%s: %+v", c.Name(i), d.Counts())
	}
	t.Logf("%d puts were acknowledged, all of them are there", len(acked))
}

// missing reads what was acknowledged.
func missing(t *testing.T, c *client.Client, acked []string) (n int) {
	t.Helper()
	for _, key := range acked {
		got, err := c.Bucket("default").Get(t.Context(), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		// A put whose answer was lost is tried again, and may stand beside itself.
		if !slices.ContainsFunc(got.Siblings, func(s client.Sibling) bool {
			return string(s.Value) == key
		}) {
			n++
		}
	}
	return n
}
