// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/disk"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/network"
	"github.com/dyno-kv/dyno/jepsen/real"
)

const (
	// clientHosts is how many addresses clients have; one more is that of the rig itself,
	// which no fault meets.
	clientHosts = 3
	nodePort    = 4610
	// partitions are fewer than usual, since each comparison pauses.
	partitions = 16
)

// world is what nodes run on.
type world struct {
	cfg    *Config
	net    network.Network // nil: this machine's loopback device
	grid   *grid           // nil with net
	disks  []*disk.Disk    // empty: this machine's
	clocks *clocks         // nil: this machine's
	// crashes has nothing where the program can not be killed at its failpoints.
	crashes crashFiles
	lacks   []string // why it is not what it could be
}

// openWorld opens the best that the system allows, and says what is missing.
func openWorld(ctx context.Context, cfg *Config) (*world, error) {
	w := &world{cfg: cfg}
	if cfg.Clocks {
		var err error
		if w.clocks, err = openClocks(cfg); err != nil {
			return nil, err
		}
	} else {
		w.lacks = append(w.lacks, "clocks: the program is not built for it")
	}
	if len(cfg.Points) > 0 {
		var err error
		if w.crashes, err = openCrashFiles(cfg); err != nil {
			return nil, errors.Join(err, w.close())
		}
	} else {
		w.lacks = append(w.lacks, "failpoints: the program is not built for it")
	}
	if cfg.Plain {
		w.lacks = append(w.lacks, "network, disks: the run is plain")
		return w, nil
	}
	n, err := network.New(ctx, network.Config{
		Hosts: cfg.Nodes, Clients: clientHosts + 1, Seed: cfg.Seed,
		Ports: []uint16{nodePort, nodePort + 1, nodePort + 2, nodePort + 3}, Apart: true,
		Mode: cfg.Network,
	})
	if err != nil {
		w.lacks = append(w.lacks, "network: "+err.Error())
	} else {
		w.net, w.grid = n, newGrid(n)
	}
	for i := range cfg.Nodes {
		dir := filepath.Join(cfg.Dir, fmt.Sprintf("n%d", i+1))
		d, err := mountDisk(dir, cfg.Seed+uint64(i))
		if err != nil {
			w.lacks = append(w.lacks, "disks: "+err.Error())
			closed := w.closeDisks()
			if w.disks = nil; closed != nil {
				return nil, errors.Join(closed, w.close())
			}
			break
		}
		w.disks = append(w.disks, d)
	}
	return w, nil
}

func mountDisk(dir string, seed uint64) (*disk.Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return disk.Mount(dir, disk.Config{Seed: seed})
}

// have is what faults the world can do.
func (w *world) have() nemesis.Needs {
	var have nemesis.Needs
	if w.net != nil {
		have |= nemesis.Cuts | nemesis.Losses | nemesis.Shapes // but for missing
	}
	if len(w.disks) > 0 {
		have |= nemesis.Disks
	}
	if w.clocks != nil {
		have |= nemesis.Clocks
	}
	if w.crashes != nil {
		have |= nemesis.Failpoints
	}
	if w.cfg.Old != "" {
		have |= nemesis.OldProgram
	}
	return have
}

// missing are the kinds of what it has that it can not do.
func (w *world) missing() (kinds []nemesis.Kind) {
	if w.net != nil {
		for _, k := range w.net.Lacks() {
			kinds = append(kinds, nemesis.Kind(k))
		}
	}
	return kinds
}

// mode is how nodes are kept apart.
func (w *world) mode() string {
	if w.net == nil {
		return "loopback"
	}
	return string(w.net.Mode())
}

// site is where a cluster starts.
func (w *world) site() real.Site {
	s := real.Site{
		Binary: w.cfg.Binary, Dir: w.cfg.Dir, Nodes: w.cfg.Nodes,
		// Tombstones are purged as soon as all have them, and a seat that is lost is soon
		// another one's.
		Flags: []string{
			"--partitions", fmt.Sprint(partitions), "--purge-grace", "0s", "--voter-timeout", "5s",
			"--memory-target", "256MiB", "--log-level", "info",
		},
		Environ: func(i int) []string {
			all := slices.Clone(w.cfg.Environ)
			if w.clocks != nil {
				all = append(all, w.clocks.environ(i)...)
			}
			if w.crashes != nil {
				all = append(all, w.crashes.environ(i)...)
			}
			return all
		},
	}
	for _, d := range w.disks {
		s.Data = append(s.Data, filepath.Join(d.Dir(), "data"))
	}
	if w.net != nil {
		for i := range w.cfg.Nodes {
			s.Addresses = append(s.Addresses, fmt.Sprintf("%s:%d", w.net.Addr(i), nodePort))
			if at := w.net.Listen(i); at != w.net.Addr(i) {
				s.Listen = append(s.Listen, fmt.Sprintf("%s:%d", at, nodePort))
			}
		}
		s.Flags = append(s.Flags, "--insecure")
		s.Run = func(i int, cmd *exec.Cmd) error { return w.net.Start(i, cmd) }
		s.Dial = w.dial(clientHosts)
	}
	return s
}

// dial is the way of the k-th client's address; nil: that of this process.
func (w *world) dial(k int) client.Dialer {
	if w.net == nil {
		return nil
	}
	return func(ctx context.Context, addr string) (net.Conn, error) {
		return w.net.Dial(ctx, k, addr)
	}
}

// dials are the ways of all clients.
func (w *world) dials() []client.Dialer {
	var all []client.Dialer
	for k := range clientHosts {
		all = append(all, w.dial(k))
	}
	return all
}

func (w *world) closeDisks() error {
	var errs []error
	for _, d := range w.disks {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// close ends all of it. Processes have ended before.
func (w *world) close() error {
	err := w.closeDisks()
	if w.net != nil {
		err = errors.Join(err, w.net.Close())
	}
	if w.clocks != nil {
		err = errors.Join(err, w.clocks.close())
	}
	return err
}
