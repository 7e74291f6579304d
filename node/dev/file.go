// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

const (
	fileName    = "cluster.json"
	fileVersion = 1
)

var (
	// ErrForeign refuses a directory that holds something else than a dev cluster.
	ErrForeign = errors.New("dev: the directory holds something else than a dyno dev cluster")
	// ErrDamaged refuses a cluster file that can not be read.
	ErrDamaged = errors.New("dev: the cluster file is damaged")
)

// file is the content of cluster.json.
type file struct {
	Version int    `json:"version"`
	Cluster string `json:"cluster"`
	// RingVersion and Replicas are the ring's.
	RingVersion uint64       `json:"ring_version"`
	Replicas    int          `json:"replicas"`
	Members     []fileMember `json:"members"`
	// Placements[p] are the slots of partition p. None moves: this version has no moves.
	Placements []filePlacement `json:"placements"`
}

type fileMember struct {
	Number   kv.NodeID   `json:"number"`
	Name     string      `json:"name"`
	Zone     string      `json:"zone,omitempty"`
	Weight   uint32      `json:"weight"`
	Instance kv.Instance `json:"instance"`
	Client   string      `json:"client"`
	Peer     string      `json:"peer"`
	Gossip   string      `json:"gossip"`
	// Opening is the newest that was confirmed; nonces are strings, since JSON readers
	// lose digits of large numbers.
	Opening uint64 `json:"opening,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
}

type filePlacement struct {
	Version kv.PlacementVersion `json:"version"`
	Owners  []kv.NodeID         `json:"owners"`
}

// state rebuilds the ring's state.
func (f *file) state() (ring.State, error) {
	cluster, err := ring.ParseClusterID(f.Cluster)
	if err != nil {
		return ring.State{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	s := ring.State{Cluster: cluster, Version: f.RingVersion, Replicas: f.Replicas}
	for _, m := range f.Members {
		if _, err := m.open(); err != nil {
			return ring.State{}, err
		}
		s.Members = append(s.Members, ring.Member{
			ID: m.Number, Name: m.Name, Zone: m.Zone, Weight: m.Weight, Instance: m.Instance,
			Client: m.Client, Peer: m.Peer, Gossip: m.Gossip,
		})
	}
	for _, p := range f.Placements {
		placement := ring.Placement{Version: p.Version}
		for _, owner := range p.Owners {
			placement.Slots = append(placement.Slots, kv.Stable(owner))
		}
		s.Placements = append(s.Placements, placement)
	}
	return s, nil
}

// ring is the ring that the file describes.
func (f *file) ring() (*ring.Ring, error) {
	state, err := f.state()
	if err != nil {
		return nil, err
	}
	r, err := ring.New(state)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}

// check refuses a file that describes no ring, before anything is made of it.
func (f *file) check() error {
	_, err := f.ring()
	return err
}

// fileOf is the file of a newly formed cluster.
func fileOf(s ring.State) *file {
	f := &file{
		Version: fileVersion, Cluster: s.Cluster.String(), RingVersion: s.Version,
		Replicas: s.Replicas,
	}
	for _, m := range s.Members {
		f.Members = append(f.Members, fileMember{
			Number: m.ID, Name: m.Name, Zone: m.Zone, Weight: m.Weight, Instance: m.Instance,
			Client: m.Client, Peer: m.Peer, Gossip: m.Gossip,
		})
	}
	for _, p := range s.Placements {
		placement := filePlacement{Version: p.Version}
		for _, slot := range p.Slots {
			placement.Owners = append(placement.Owners, slot.Owner)
		}
		f.Placements = append(f.Placements, placement)
	}
	return f
}

// move gives the members their addresses of this start, and reports whether any changed:
// then the ring has a newer version (I3).
func (f *file) move(to []address) bool {
	changed := false
	for i := range f.Members {
		m := &f.Members[i]
		now := address{client: m.Client, peer: m.Peer, gossip: m.Gossip}
		if now != to[i] {
			m.Client, m.Peer, m.Gossip = to[i].client, to[i].peer, to[i].gossip
			changed = true
		}
	}
	if changed {
		f.RingVersion++
	}
	return changed
}

func (m *fileMember) open() (kv.Open, error) {
	if m.Opening == 0 && m.Nonce == "" {
		return kv.Open{}, nil
	}
	nonce, err := strconv.ParseUint(m.Nonce, 16, 64)
	if err != nil || m.Opening == 0 {
		return kv.Open{}, fmt.Errorf("%w: opening %d of %s with nonce %q", ErrDamaged, m.Opening,
			m.Name, m.Nonce)
	}
	return kv.Open{Seq: m.Opening, Nonce: nonce}, nil
}

func (m *fileMember) setOpen(o kv.Open) {
	m.Opening, m.Nonce = o.Seq, fmt.Sprintf("%016x", o.Nonce)
}

// load reads the file of a directory; found is false where there is none.
func load(dir string) (f *file, found bool, err error) {
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("dev: read the cluster file: %w", err)
	}
	f = &file{}
	if err := json.Unmarshal(content, f); err != nil {
		return nil, true, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if f.Version != fileVersion {
		return nil, true, fmt.Errorf("%w: it has version %d, this build knows %d",
			ErrDamaged, f.Version, fileVersion)
	}
	return f, true, nil
}

// save replaces the file, durably: complete, or not at all.
func (f *file) save(dir string) error {
	content, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return fmt.Errorf("dev: encode the cluster file: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, fileName), content); err != nil {
		return fmt.Errorf("dev: write the cluster file: %w", err)
	}
	return nil
}

func replaceFile(path string, content []byte) error {
	temporary := path + ".new"
	out, err := os.Create(temporary)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	if err = errors.Join(err, out.Sync(), out.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
