// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/node"
)

// whatIsWrong says why the hosts do not all hold what they must, and nothing else; empty: they
// do. All owners of a key hold the same, their trees are equal and are what they hold, no
// hint is left, and who owns nothing holds nothing.
func whatIsWrong(t *testing.T, c *Cluster) string {
	t.Helper()
	first, copies := make(map[uint16]node.Audit), make(map[string]int)
	for _, h := range c.Hosts {
		a, err := h.Audit(limit(t))
		if err != nil {
			return fmt.Sprintf("%s can not be looked at: %v", h.Name, err)
		}
		hints := 0
		for _, n := range a.Hints {
			hints += n
		}
		if len(a.Damaged)+len(a.Strange)+len(a.Wrong)+hints > 0 {
			return fmt.Sprintf("%s: damaged %q, strange %q, wrong trees %v, %d hints", h.Name,
				a.Damaged, a.Strange, a.Wrong, hints)
		}
		for p, tree := range a.Trees {
			if other, seen := first[p]; seen && !other.Trees[p].Equal(tree) {
				return fmt.Sprintf("owners of partition %d do not hold the same, %s among them", p, h.Name)
			}
			first[p] = a
		}
		for name, digest := range a.Objects {
			copies[fmt.Sprint(name, " ", digest)]++
		}
	}
	for name, n := range copies {
		if n != c.cfg.Replicas {
			return fmt.Sprintf("%q is at %d hosts", name, n)
		}
	}
	return ""
}

// demandWhole demands that they come to that within ten minutes, though nobody reads.
func demandWhole(t *testing.T, c *Cluster) {
	t.Helper()
	wrong := ""
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		if wrong = whatIsWrong(t, c); wrong == "" {
			return
		}
	}
	t.Error(wrong)
}

// awaitFull waits until a host serves, as one that has all that it should.
func awaitFull(t *testing.T, h *Host) {
	t.Helper()
	for end := time.Now().Add(10 * time.Minute); !serving(h)(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			s, up := h.Status()
			t.Fatalf("%s is not full: up %t, %+v", h.Name, up, s)
		}
	}
}

// stepsOfARefill are the failpoints that a refill passes: those of the host that is filled,
// and that of the others.
func stepsOfARefill() (own, others []string) {
	for _, p := range node.Points() {
		switch {
		case strings.HasPrefix(p.Name, "transfer/"), strings.HasPrefix(p.Name, "node/before-rejoin"),
			strings.HasPrefix(p.Name, "node/before-new-life"),
			p.Name == "node/before-wipe", p.Name == "node/before-full-record":
			own = append(own, p.Name)
		case p.Name == "replica/before-fence-kept":
			others = append(others, p.Name)
		}
	}
	return own, others
}

// TestARefillOutlivesACrashAtEachOfItsSteps of the host that is filled, of one that is copied,
// and of whoever leads the metadata group, while somebody writes.
func TestARefillOutlivesACrashAtEachOfItsSteps(t *testing.T) {
	own, others := stepsOfARefill()
	if len(own) != 12 || len(others) != 1 {
		t.Fatalf("%d and %d failpoints", len(own), len(others))
	}
	for i, at := range append(own, others...) {
		for j, who := range []string{"filled", "source", "leader"} {
			if testing.Short() && (i+j)%3 > 0 {
				continue
			}
			t.Run(at+"/"+who, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					crashInARefill(t, uint64(3*i+j), at, i == len(own), who)
				})
			})
		}
	}
}

// crashInARefill kills somebody when a failpoint is passed for the first time: of the host
// that is filled, or of a source.
func crashInARefill(t *testing.T, seed uint64, at string, atSource bool, who string) {
	cfg := groupedConfig(seed, 5)
	points := make(map[*Host]*fail.Set)
	cfg.Tune = func(h *Host, n *node.Config) {
		points[h] = fail.NewSet()
		n.Points = points[h]
	}
	c := startCluster(t, cfg)
	lost, source := c.Hosts[seed%5], c.Hosts[(seed+1)%5]
	b := connect(t, c, "writer").Bucket(client.DefaultBucket)
	for i := range 60 {
		_, err := b.Put(limit(t), key(i), valueOf(i), client.WithW(2), client.WithPW(2))
		must(t, err)
	}
	passed, goOn := make(chan struct{}), make(chan struct{})
	var dies *Host
	arm := func(h *Host) {
		points[h].Arm(at, fail.Plan{Times: 1, Hook: func() error {
			close(passed)
			<-goOn
			if h == dies { // nothing that it does now is of any effect
				return errors.New("dead")
			}
			return nil
		}})
	}
	lost.LosePower()
	must(t, lost.Disk.Wipe())
	lost.SetRejoin(true)
	if atSource {
		arm(source)
	}
	before := c.cfg.Tune
	c.cfg.Tune = func(h *Host, n *node.Config) {
		before(h, n)
		if h == lost && !atSource {
			arm(h)
		}
	}
	must(t, lost.Start(limit(t)))
	c.cfg.Tune = before
	select {
	case <-passed:
	case <-time.After(2 * time.Minute):
		t.Fatal("it is not passed")
	}
	victim := map[string]*Host{"filled": lost, "source": source, "leader": c.Leader()}[who]
	if victim == nil {
		t.Fatal("nobody leads")
	}
	dies = victim
	if seed%2 == 0 {
		must(t, victim.Kill())
	} else {
		victim.LosePower()
	}
	close(goOn)
	wrote := 0
	for i := range 30 { // of which some are refused, as owners are missing
		if _, err := b.Put(limit(t), key(i), valueOf(i+100), client.WithTimeout(time.Second)); err == nil {
			wrote++
		}
	}
	must(t, victim.Start(limit(t)))
	awaitFull(t, lost)
	must(t, c.AwaitReady(limit(t)))
	demandWhole(t, c)
	for i := range 60 {
		found, err := b.Get(limit(t), key(i), client.WithR(client.All))
		must(t, err)
		if !found.Found || i >= 30 && len(found.Siblings) != 1 {
			t.Errorf("%s: %d values", key(i), len(found.Siblings))
		}
	}
	if wrote == 0 {
		t.Error("nobody could write meanwhile")
	}
}
