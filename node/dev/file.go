// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dyno-kv/dyno/ring"
)

const (
	fileName    = "cluster.json"
	fileVersion = 2
)

var (
	// ErrForeign refuses a directory that holds something else than a dev cluster.
	ErrForeign = errors.New("dev: the directory holds something else than a dyno dev cluster")
	// ErrDamaged refuses a cluster file that can not be read.
	ErrDamaged = errors.New("dev: the cluster file is damaged")
)

// file is the content of cluster.json: what was asked for when the cluster was made. What
// it is, its nodes know.
type file struct {
	Version    int `json:"version"`
	Nodes      int `json:"nodes"`
	Replicas   int `json:"replicas"`
	Partitions int `json:"partitions"`
	// Cluster is the id of the cluster once it is formed: from then on no node may found one
	// in an empty directory.
	Cluster string `json:"cluster,omitempty"`
}

// check returns every fault of a file that was read, in one error.
func (f *file) check() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if f.Version != fileVersion {
		bad("it has version %d, this build knows %d", f.Version, fileVersion)
	}
	if f.Nodes < 1 || f.Nodes > maxNodes {
		bad("%d nodes, must be 1 to %d", f.Nodes, maxNodes)
	}
	if f.Replicas < 1 || f.Replicas > f.Nodes {
		bad("%d replicas on %d nodes", f.Replicas, f.Nodes)
	}
	if q := f.Partitions; q < 1 || q > ring.MaxPartitions || q&(q-1) != 0 {
		bad("%d partitions, must be a power of two", q)
	}
	if f.Cluster != "" {
		if _, err := ring.ParseClusterID(f.Cluster); err != nil {
			bad("%w", err)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrDamaged, errors.Join(faults...))
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
	return f, true, f.check()
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
