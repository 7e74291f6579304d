// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc/memnet"
)

// Config says what a cluster is made of.
type Config struct {
	// Seed draws everything that is left to chance.
	Seed uint64
	// Nodes are the members; Replicas is n of the built-in bucket.
	Nodes, Replicas, Partitions int
	// Engine is what stands for every host's disk.
	Engine EngineKind
	// Grouped has the nodes run their metadata group: the first host founds it, the others
	// join. Without it one that never loses anything stands in for it: see [Mood].
	Grouped bool
	// Dir is where EngineBadgerTmpfs keeps the disks: a directory that is there, and in
	// which nothing has the name of a host. It should be on a tmpfs, and have a name of the
	// same length in all runs of one seed.
	Dir string
	// SmallMemtables lets Badger flush and merge its tables within a minute of work; records
	// of 85 KiB and more are too big for it then.
	SmallMemtables bool
	// Tune changes what a host's next process is made of; it may be nil.
	Tune func(h *Host, cfg *node.Config)
	// Log is the nodes'; never nil.
	Log *zap.Logger
}

// DefaultConfig is a small cluster with three replicas.
func DefaultConfig(seed uint64) Config {
	return Config{Seed: seed, Nodes: 3, Replicas: 3, Partitions: 16, Log: zap.NewNop()}
}

// Cluster is a cluster of hosts, on a network of its own, inside one bubble.
type Cluster struct {
	// Immutable. Net has the hosts under their Addr, and clients under their names.
	Net   *memnet.Network
	Hosts []*Host // in order of their numbers, which begin at 1

	cfg     Config
	group   *group // stands in for the metadata group; nil where the nodes run it
	running sync.WaitGroup
	formed  bool // the nodes have been registered, in order of their numbers
}

// mostNodes bounds a cluster: their addresses are 10.0.0.1 and so on.
const mostNodes = 64

// New forms a cluster. No process runs yet, and no fault is set.
func New(cfg Config) (*Cluster, error) {
	if cfg.Nodes < 1 || cfg.Nodes > mostNodes || cfg.Log == nil {
		return nil, fmt.Errorf("sim: %d nodes, must be 1 to %d, with a logger", cfg.Nodes, mostNodes)
	}
	c := &Cluster{cfg: cfg, Net: memnet.New(cfg.Seed)}
	var members []ring.Member
	for i := 1; i <= cfg.Nodes; i++ {
		addr := address(i)
		members = append(members, ring.Member{
			ID: kv.NodeID(i), Name: fmt.Sprintf("n%d", i), Weight: 1, Instance: kv.Instance(i),
			Client: addr + ":4610", Peer: addr + ":4611", Gossip: addr + ":4612",
		})
	}
	if !cfg.Grouped {
		formed, err := formRing(cfg, members)
		if err != nil {
			return nil, err
		}
		c.group = newGroup(formed)
	}
	for i, m := range members {
		h, err := newHost(c, m, address(i+1))
		if err != nil {
			return nil, errors.Join(err, c.closeDisks())
		}
		c.Hosts = append(c.Hosts, h)
	}
	return c, nil
}

// formRing makes the ring that does not change.
func formRing(cfg Config, members []ring.Member) (*ring.Ring, error) {
	const hashSeed = 1 // of the ring; which keys meet where is up to the keys
	state, err := ring.Form(ring.ClusterID{1}, cfg.Replicas, cfg.Partitions, members, hashSeed)
	if err != nil {
		return nil, fmt.Errorf("sim: form the ring: %w", err)
	}
	formed, err := ring.New(state)
	if err != nil {
		return nil, fmt.Errorf("sim: form the ring: %w", err)
	}
	return formed, nil
}

func (c *Cluster) closeDisks() (err error) {
	for _, h := range c.Hosts {
		err = errors.Join(err, h.Disk.Close())
	}
	return err
}

func address(i int) string { return fmt.Sprintf("10.0.0.%d", i) }

// Start starts a process on every host that has none, and waits until all are ready. The
// starts are some odd nanoseconds apart, so that their tickers never meet.
func (c *Cluster) Start(ctx context.Context) error {
	for _, h := range c.Hosts {
		if h.Up() {
			continue
		}
		time.Sleep(time.Duration(h.ID)*1_000_003 + 7)
		if err := h.Start(ctx); err != nil {
			return err
		}
		if err := c.register(ctx, h); err != nil {
			return err
		}
	}
	c.formed = true
	return c.AwaitReady(ctx)
}

// Client returns a client on a host of its own, of that name, which knows every node.
// Whoever asks for it closes it, before the cluster. Two of one name draw the same request
// ids, so names must differ. change may be nil.
func (c *Cluster) Client(name string, change func(*client.Config)) (*client.Client, error) {
	cfg := client.DefaultConfig()
	cfg.Name = name
	cfg.Dial = c.Net.Dialer(name)
	cfg.Rand = source(c.cfg.Seed, "client "+name)
	cfg.Logger = c.cfg.Log.Named(name)
	for _, h := range c.Hosts {
		cfg.Endpoints = append(cfg.Endpoints, h.Member.Client)
	}
	if change != nil {
		change(&cfg)
	}
	return client.New(cfg)
}

// Close ends every process, in order where that can be, and waits until nothing of the
// cluster runs.
func (c *Cluster) Close() {
	c.Net.Heal()
	for _, h := range c.Hosts {
		h.close(c.cfg.Log)
	}
	c.running.Wait()
	if err := c.closeDisks(); err != nil {
		c.cfg.Log.Error("a disk is broken", zap.Error(err))
	}
	time.Sleep(stragglers)
}
