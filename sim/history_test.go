// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/storage"
)

// trial is a run of workloads over a cluster whose history is judged.
type trial struct {
	*Cluster
	began  time.Time
	record *history.Recorder
	loads  []workload.Workload

	processes int // that there were so far
}

// sessions is how many run one workload at the same time.
const sessions = 4

func newTrial(t *testing.T, cfg Config, kinds ...string) *trial {
	t.Helper()
	n := uint8(cfg.Replicas)
	record, err := history.NewRecorder(history.Header{
		N: cfg.Replicas, Seed: cfg.Seed, Mode: "sim", Sloppy: cfg.Nodes > cfg.Replicas,
	}, 1<<16)
	must(t, err)
	rng := source(cfg.Seed, "workloads")
	var loads []workload.Workload
	for _, kind := range kinds {
		load, err := workload.Draw(rng, kind, kind+" ", workload.Options{N: n, Nodes: cfg.Nodes})
		must(t, err)
		loads = append(loads, load)
	}
	c := startCluster(t, cfg)
	return &trial{Cluster: c, began: time.Now(), record: record, loads: loads}
}

func (r *trial) now() int64 { return int64(time.Since(r.began)) }

// session is that of a process that there was not before.
func (r *trial) session(t *testing.T, opts ...client.Option) *workload.Session {
	t.Helper()
	cl := connect(t, r.Cluster, fmt.Sprintf("process %d", r.processes))
	r.processes++
	var nodes []string
	for _, h := range r.Hosts {
		nodes = append(nodes, h.Member.Client)
	}
	return workload.NewSession(clients.NewStoreOf(cl, nodes, opts...), r.processes-1, r.record, r.now)
}

// run lets every workload do steps in each of its sessions, which are new ones, and
// returns what waits for them.
func (r *trial) run(t *testing.T, steps int) (wait func()) {
	t.Helper()
	var all sync.WaitGroup
	for _, load := range r.loads {
		for range sessions {
			s := r.session(t)
			rng := source(r.cfg.Seed, fmt.Sprint("steps ", r.processes))
			all.Go(func() {
				if err := workload.Run(context.Background(), s, load, rng, steps); err != nil {
					t.Errorf("seed %d: %v", r.cfg.Seed, err)
				}
			})
		}
	}
	return all.Wait
}

// finish is one round of final reads: all keys from all replicas, through each node.
func (r *trial) finish(t *testing.T, round uint8) {
	t.Helper()
	for _, h := range r.Hosts {
		s := r.session(t, client.WithEndpoint(h.Member.Client))
		for _, load := range r.loads {
			for _, step := range load.Final(round) {
				must(t, s.Do(limit(t), step))
			}
		}
	}
}

func (r *trial) note(t *testing.T, from int64, name, node string, outage bool) {
	t.Helper()
	must(t, r.record.Event(&history.Event{
		From: from, Until: r.now(), Name: name, Nodes: []string{node}, Outage: outage,
	}))
}

// disturb draws faults one after the other, and takes back what is left of them.
func (r *trial) disturb(t *testing.T, rng *rand.Rand, n int) {
	t.Helper()
	for range n {
		time.Sleep(draws(rng))
		d := disturbances()[rng.IntN(len(disturbances()))]
		h, from := r.Hosts[rng.IntN(len(r.Hosts))], r.now()
		if d.do(r.Cluster, h, rng) == nil {
			r.note(t, from, d.name, h.Name, false)
		}
		time.Sleep(draws(rng))
		if rng.IntN(2) == 0 {
			r.Net.Heal()
		}
		revive(t, r.Cluster, 0.7, rng)
	}
	mend(r.Cluster)
}

// settle starts what is down, once every failure of a disk has shown, and waits until
// nothing is on its way any more.
func (r *trial) settle(t *testing.T, rng *rand.Rand) {
	t.Helper()
	time.Sleep(drained)
	revive(t, r.Cluster, 1, rng)
	must(t, r.AwaitReady(limit(t)))
	time.Sleep(drained)
}

// judge says what the checkers find. Outside of outages nearly all must be answered.
func judge(t *testing.T, h *history.History) *checker.Report {
	t.Helper()
	cfg := checker.DefaultConfig()
	cfg.MinAvailable = 0.99
	report, err := checker.Check(h, cfg)
	must(t, err)
	return report
}

// underFaults lets workloads run before, under and after the faults of a seed, and reads
// what is left, before and after all hosts lose their power.
func underFaults(t *testing.T, seed uint64) *history.History {
	t.Helper()
	cfg := DefaultConfig(seed)
	// Every other time all nodes are owners: with fallbacks most levels promise less, so that
	// there is less that could be broken.
	cfg.Nodes = []int{3, 4, 3, 5}[seed%4]
	// Not "expiry": clocks go wrong by hours, so that nothing could be said about it.
	kinds := []string{"register", "deletes", "set", "counter", "session"}
	r, rng := newTrial(t, cfg, kinds...), source(seed, "faults")
	r.run(t, 20)()
	from, wait := r.now(), r.run(t, 120)
	r.disturb(t, rng, 6)
	wait()
	r.settle(t, rng)
	r.note(t, from, "faults", "all", true)
	time.Sleep(time.Millisecond)
	r.run(t, 20)()
	time.Sleep(drained)
	r.finish(t, 1)
	for _, h := range r.Hosts {
		h.LosePower()
	}
	must(t, r.Start(limit(t)))
	r.finish(t, 2)
	return r.record.History()
}

// acknowledged is the share of the writes that were.
func acknowledged(h *history.History) float64 {
	all, ok := 0, 0
	for i := range h.Ops {
		if h.Ops[i].Kind.Writes() {
			all++
			if h.Ops[i].Outcome == history.OK {
				ok++
			}
		}
	}
	return float64(ok) / float64(all)
}

// TestHistoriesUnderFaultsAreValid lets workloads run under faults that the seed
// draws. What clients saw must be what a store of siblings may show them; and each
// history must turn red where a corruptor spoils it.
func TestHistoriesUnderFaultsAreValid(t *testing.T) {
	seeds, spoiled := uint64(20), make(map[string]int)
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			h := underFaults(t, seed)
			if report := judge(t, h); report.Verdict != checker.Valid {
				t.Errorf("seed %d: %s%v", seed, report, h.Events)
			}
			if share := acknowledged(h); share < 0.3 {
				t.Errorf("seed %d: only %.2f of the writes were acknowledged", seed, share)
			}
			for _, c := range checker.Corruptors() {
				bad, done := c.Corrupt(source(seed, c.Name), h)
				if !done {
					continue
				}
				spoiled[c.Name]++
				if judge(t, bad).Verdict != checker.Invalid {
					t.Errorf("seed %d: valid although %s: %s", seed, c.Name, c.What)
				}
			}
		})
	}
	for _, c := range checker.Corruptors() {
		if spoiled[c.Name] < 3 && c.Name != "C13" { // it needs values that end
			t.Errorf("%s had a place in %d histories", c.Name, spoiled[c.Name])
		}
	}
}

// liar is an engine that acknowledges what it has not synced, while it lies.
type liar struct {
	*engine
	lies *atomic.Bool
}

func (l *liar) Commit(ts uint64, writes []storage.Write) error {
	if !l.lies.Load() {
		return l.engine.Commit(ts, writes)
	}
	_, err := l.write(ts, writes)
	return err
}

// TestAHistoryOverADiskThatLiesIsInvalid: the same run as without lies, in which all hosts
// lose their power once.
func TestAHistoryOverADiskThatLiesIsInvalid(t *testing.T) {
	for _, lie := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var lies atomic.Bool
			cfg := DefaultConfig(1)
			cfg.Tune = func(_ *Host, n *node.Config) {
				honest := n.OpenStores
				n.OpenStores = func(dir string, log *zap.Logger) (*node.Stores, error) {
					s, err := honest(dir, log)
					if err == nil {
						s.Data = &liar{s.Data.(*engine), &lies}
					}
					return s, err
				}
			}
			r := newTrial(t, cfg, "register", "set")
			r.run(t, 20)()
			lies.Store(lie)
			r.run(t, 50)()
			from := r.now()
			for _, h := range r.Hosts {
				h.Disk.LosePower(nil) // not even by chance is there what was not synced
				h.LosePower()
			}
			lies.Store(false)
			r.settle(t, source(1, "power"))
			r.note(t, from, "power of all", "all", true)
			r.finish(t, 1)
			report := judge(t, r.record.History())
			want := checker.Valid
			if lie {
				want = checker.Invalid
			}
			for _, name := range []string{"causal", "set"} {
				if got := report.Result(name); got.Verdict != want {
					t.Errorf("lies %t: %s, must be %s: %s", lie, got.Verdict, want, report)
				}
			}
		})
	}
}
