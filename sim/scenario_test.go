// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/node"
)

// TestPowerLossOfAllHostsLosesNoAcknowledgedWrite is red where anything is acknowledged
// before it is synced: no other replica has it then.
func TestPowerLossOfAllHostsLosesNoAcknowledgedWrite(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			chaos(t, seed, func(c *Cluster, rng *rand.Rand) {
				time.Sleep(draws(rng))
				for _, h := range c.Hosts {
					h.LosePower()
				}
				must(t, c.Start(limit(t)))
			})
		})
	}
}

// TestClocksThatDisagreeLoseNoAcknowledgedWrite: wall clocks decide about no value.
func TestClocksThatDisagreeLoseNoAcknowledgedWrite(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			chaos(t, seed, func(c *Cluster, rng *rand.Rand) {
				for i, h := range c.Hosts {
					h.Clock.Step(time.Duration(i-1) * 24 * time.Hour)
					h.Clock.SetDrift(int64(rng.IntN(2_000_000) - 1_000_000))
				}
				time.Sleep(draws(rng))
				h := c.Hosts[rng.IntN(len(c.Hosts))]
				h.LosePower()
				h.Clock.Step(-time.Hour)
				must(t, h.Start(limit(t)))
			})
		})
	}
}

// filled starts a cluster with a value under each of some keys, written to all replicas.
func filled(t *testing.T) (*Cluster, *client.Bucket) {
	t.Helper()
	return filledWith(t, DefaultConfig(3))
}

func filledWith(t *testing.T, cfg Config) (*Cluster, *client.Bucket) {
	t.Helper()
	c := startCluster(t, cfg)
	b := connect(t, c, "c").Bucket("default")
	for i := range 50 {
		_, err := b.Put(limit(t), key(i), valueOf(i), client.WithW(client.All))
		must(t, err)
	}
	return c, b
}

func key(i int) []byte     { return fmt.Appendf(nil, "key %d", i) }
func valueOf(i int) []byte { return fmt.Appendf(nil, "value %d", i) }

// demandFilled reads what filled wrote.
func demandFilled(t *testing.T, b *client.Bucket, opts ...client.Option) {
	t.Helper()
	for i := range 50 {
		found, err := b.Get(limit(t), key(i), opts...)
		if err != nil {
			t.Errorf("%s: %v", key(i), err)
			continue
		}
		if v, err := found.Value(); err != nil || string(v) != string(valueOf(i)) {
			t.Errorf("%s is %q, %v", key(i), v, err)
		}
	}
}

// TestFlippedBitsAreNoticed: a damaged record is neither a wrong value nor none at all,
// and the other replicas answer for it.
func TestFlippedBitsAreNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := filled(t)
		h := c.Hosts[0]
		h.LosePower()
		for i := range uint64(100) {
			h.Disk.FlipBit(Data, source(i, "flip"))
		}
		must(t, c.Start(limit(t)))
		demandFilled(t, b, client.WithR(client.Quorum))
		c.Hosts[1].LosePower()
		c.Hosts[2].LosePower()
		noticed := 0
		for i := range 50 {
			found, err := b.Get(limit(t), key(i), client.WithR(client.One))
			if err != nil {
				noticed++
				continue
			}
			if v, err := found.Value(); err != nil || string(v) != string(valueOf(i)) {
				t.Errorf("%s is %q, %v", key(i), v, err)
			}
		}
		if noticed < 20 || noticed == 50 {
			t.Errorf("%d of 50 records are damaged", noticed)
		}
	})
}

// TestALostStoreDoesNotServe: whoever comes back with less than it had is found out by
// the group, and the others go on.
func TestALostStoreDoesNotServe(t *testing.T) {
	for name, lose := range map[string]func(h *Host, before *Copy) error{
		"wiped":    func(h *Host, _ *Copy) error { return h.Disk.Wipe() },
		"restored": func(h *Host, before *Copy) error { return h.Disk.Restore(before) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, b := filled(t)
				h := c.Hosts[1]
				before := h.Disk.Copy()
				for range 2 { // two more openings
					h.LosePower()
					must(t, c.Start(limit(t)))
				}
				h.LosePower()
				must(t, lose(h, before))
				must(t, h.Start(limit(t)))
				time.Sleep(10 * time.Second)
				if s, up := h.Status(); !up || s.Ready || s.Confirmed || !s.Refused {
					t.Errorf("up %t, %+v", up, s)
				}
				demandFilled(t, b, client.WithR(client.Quorum))
			})
		})
	}
}

// TestAStoreOnceRefusedStaysSo, also where its next process can not ask the group: what it
// lacks must not be read (seed 345 of a sweep).
func TestAStoreOnceRefusedStaysSo(t *testing.T) {
	for _, mood := range []Mood{GroupFails, GroupHangs, GroupMute} {
		synctest.Test(t, func(t *testing.T) {
			c, b := filled(t)
			h := c.Hosts[1]
			before := h.Disk.Copy()
			for range 2 {
				h.LosePower()
				must(t, c.Start(limit(t)))
			}
			h.LosePower()
			must(t, h.Disk.Restore(before))
			must(t, h.Start(limit(t)))
			time.Sleep(10 * time.Second)
			must(t, h.Kill())
			h.SetGroup(mood)
			must(t, h.Start(limit(t)))
			time.Sleep(10 * time.Second)
			if s, up := h.Status(); !up || s.Ready {
				t.Errorf("mood %d: up %t, %+v", mood, up, s)
			}
			h.SetGroup(GroupAnswers)
			time.Sleep(10 * time.Second)
			if s, up := h.Status(); !up || s.Ready || !s.Refused {
				t.Errorf("mood %d, and then the group answers: up %t, %+v", mood, up, s)
			}
			demandFilled(t, b, client.WithR(client.Quorum))
		})
	}
}

func TestAClonedDirectoryIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := filled(t)
		clone := c.Hosts[0].Disk.Copy()
		h := c.Hosts[1]
		must(t, h.Stop())
		own := h.Disk.Copy()
		must(t, h.Disk.Restore(clone))
		if err := h.Start(limit(t)); !errors.Is(err, node.ErrOtherIdentity) {
			t.Errorf("a node on another's directory: %v", err)
		}
		must(t, h.Disk.Restore(own))
		must(t, c.Start(limit(t)))
		demandFilled(t, b, client.WithR(client.All))
	})
}

// TestAFullDiskRefusesWritesAndRecovers: the node stops taking writes before the disk
// does.
func TestAFullDiskRefusesWritesAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := filled(t)
		h := c.Hosts[2]
		put := func(l client.Level) error {
			_, err := b.Put(limit(t), []byte("k"), []byte("v"), client.WithW(l))
			return err
		}
		h.Disk.SetFree(1 << 20)
		time.Sleep(5 * time.Second)
		if err := put(client.All); err == nil {
			t.Error("a full disk took a write")
		}
		must(t, put(client.Quorum))
		demandFilled(t, b, client.WithR(client.All))
		h.Disk.SetFree(-1)
		time.Sleep(5 * time.Second)
		must(t, put(client.All))
		if full := h.Disk.Stats().Full; full > 0 || !h.Up() {
			t.Errorf("%d commits met the full disk, up %t", full, h.Up())
		}
	})
}

// TestANodeStartsWithoutItsGroup: in every mood of it, and is confirmed once it answers.
func TestANodeStartsWithoutItsGroup(t *testing.T) {
	for _, mood := range []Mood{GroupFails, GroupHangs, GroupMute} {
		synctest.Test(t, func(t *testing.T) {
			c, b := filled(t)
			h := c.Hosts[0]
			must(t, h.Kill())
			h.SetGroup(mood)
			must(t, h.Start(limit(t)))
			time.Sleep(10 * time.Second)
			if s, up := h.Status(); !up || s.Confirmed || !s.Ready {
				t.Errorf("mood %d: up %t, %+v", mood, up, s)
			}
			demandFilled(t, b, client.WithR(client.All))
			h.SetGroup(GroupAnswers)
			must(t, c.AwaitReady(limit(t)))
		})
	}
}

func TestAHostRefusesWhatItsStateForbids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, DefaultConfig(1))
		h, ctx := c.Hosts[0], context.Background()
		if err := h.Start(ctx); !errors.Is(err, ErrRunning) {
			t.Errorf("a second process: %v", err)
		}
		must(t, h.Stop())
		for what, err := range map[string]error{
			"stop": h.Stop(), "kill": h.Kill(), "pause": h.Pause(), "resume": h.Resume(),
		} {
			if !errors.Is(err, ErrDown) {
				t.Errorf("%s of a host that is down: %v", what, err)
			}
		}
		if _, up := h.Status(); up {
			t.Error("a stopped host has a status")
		}
		if s := h.Disk.Stats(); s.Kills != 0 {
			t.Errorf("stopping in order left the disk open: %+v", s)
		}
	})
}
