// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

// snapshotOutput is what `dyno meta snapshot -o json` prints.
type snapshotOutput struct {
	head
	File       string `json:"file"`
	Cluster    string `json:"cluster"`
	Index      uint64 `json:"index"`
	Term       uint64 `json:"term"`
	Generation int    `json:"generation"`
	// Members are those that have not left.
	Members  int `json:"members"`
	Buckets  int `json:"buckets"`
	Locks    int `json:"locks"`
	Sessions int `json:"sessions"`
	// Size and Checksum are of the state, without the header that the file has before it.
	Size     uint64 `json:"size"`
	Checksum string `json:"checksum"`
}

const snapshotLong = `Saves the state of the metadata group into FILE: members, ring, buckets,
sessions and locks, but no keys. It is as of one index, and has all that was committed before
the command began; for that the group needs a leader. The file gets its name when it is
whole, synced, and known to be readable. It has the values that holders leave with their
locks, and only its owner may read it.

With --show nobody is asked: FILE is read, every byte of it checked, and its content told.`

// maxSnapshotFile is the longest file that can be a saved state, with room for its header.
const maxSnapshotFile = wire.MaxMetaSnapshot + 4096

func (a *app) metaSnapshotCommand() *cobra.Command {
	var show, force bool
	c := &cobra.Command{
		Use: "snapshot FILE", Short: "Save the group's state into a file", Long: snapshotLong,
		Args:    takes(1, 1),
		Example: "  dyno meta snapshot group.snapshot\n  dyno meta snapshot --show group.snapshot",
	}
	c.Flags().BoolVar(&show, "show", false, "read FILE instead, without a cluster")
	c.Flags().BoolVar(&force, "force", false, "replace FILE where it is there")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		switch {
		case show && force:
			return usage("--show writes nothing: --force has no meaning with it")
		case show:
			return a.showSnapshot(args[0])
		default:
			return a.withClient(func(c *client.Client) error {
				return a.saveSnapshot(ctx, c, args[0], force)
			})
		}
	})
	return c
}

func (a *app) saveSnapshot(ctx context.Context, c *client.Client, path string, force bool) error {
	if err := checkFree(path, force); err != nil {
		return err
	}
	snapshot, told, err := a.fetchSnapshot(ctx, c)
	if err != nil {
		return err
	}
	header, saved, err := state.Seal(snapshot)
	if err != nil {
		return fmt.Errorf("node %s sent a state that can not be restored: %w", told.Node, err)
	}
	if s := saved.State; s.Index() != told.Index || s.Term() != told.Term ||
		s.Generation() != told.Generation {
		return fmt.Errorf("node %s told of index %d, term %d, generation %d; its state is of index "+
			"%d, term %d, generation %d", told.Node, told.Index, told.Term, told.Generation, s.Index(),
			s.Term(), s.Generation())
	}
	if err := writeWhole(path, force, header, snapshot); err != nil {
		return storageFault(err)
	}
	return a.printSnapshot(path, saved)
}

// checkFree refuses a name that something has, unless it may be replaced.
func checkFree(path string, force bool) error {
	_, err := os.Lstat(path)
	switch {
	case force, errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return storageFault(err)
	default:
		return failWith(exitConflict, "%s is there already; --force replaces it", path)
	}
}

// fetchSnapshot gets the state. A node keeps the one that it brings out only until it has
// to begin another: then so does this.
func (a *app) fetchSnapshot(ctx context.Context, c *client.Client) (
	snapshot []byte, told client.MetaSnapshot, err error,
) {
	const tries = 3
	for range tries {
		w := &watched{app: a}
		told, err = c.MetaSnapshot(ctx, w)
		w.end()
		if !errors.Is(err, client.ErrChanged) {
			return w.got.Bytes(), told, err
		}
	}
	return nil, told, err
}

// watched keeps what is written to it, and shows on a terminal how much that is, where it
// does not come at once.
type watched struct {
	app    *app
	got    bytes.Buffer
	pieces int
	bar    *progressbar.ProgressBar // nil where nobody watches, or has to
}

// Write implements io.Writer.
func (w *watched) Write(b []byte) (int, error) {
	if w.pieces++; w.pieces == 2 {
		w.bar = w.app.newBar("snapshot", -1)
	}
	n, err := w.got.Write(b)
	if w.bar != nil {
		_ = w.bar.Set(w.got.Len()) // only draws
	}
	return n, err
}

func (w *watched) end() {
	if w.bar != nil {
		_ = w.bar.Finish() // only draws
	}
}

// writeWhole writes a file that gets its name when all of it is on the disk.
func writeWhole(path string, force bool, parts ...[]byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".dyno-snapshot-*") // its owner's alone
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err == nil {
			_, err = file.Write(part)
		}
	}
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil { // somebody may have taken the name meanwhile
		err = checkFree(path, force)
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (a *app) showSnapshot(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return storageFault(err)
	case !info.Mode().IsRegular() || info.Size() > maxSnapshotFile:
		return failWith(exitStorage, "%s is no saved state of a metadata group", path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return storageFault(err)
	}
	saved, err := state.Unseal(content)
	if err != nil {
		return failWith(exitStorage, "%s: %w", path, err)
	}
	return a.printSnapshot(path, saved)
}

func (a *app) printSnapshot(path string, saved state.Saved) error {
	s := saved.State
	counts := s.Locks().Counts()
	out := snapshotOutput{
		head: newHead(), File: path, Cluster: s.Cluster().String(), Index: s.Index(),
		Term: s.Term(), Generation: int(s.Generation()), Buckets: len(s.View().Buckets),
		Locks: counts.Locks, Sessions: counts.Sessions, Size: saved.Size,
		Checksum: fmt.Sprintf("%016x", saved.Checksum),
	}
	for _, m := range s.Members() {
		if !m.Left {
			out.Members++
		}
	}
	if a.form == formJSON {
		return a.printJSON(out)
	}
	if err := a.printf("cluster %s, generation %d\n\n", out.Cluster, out.Generation); err != nil {
		return err
	}
	t := a.newTable("index", "term", "members", "buckets", "locks", "sessions", "size", "checksum")
	t.row(out.Index, out.Term, out.Members, out.Buckets, out.Locks, out.Sessions,
		size(int64(out.Size)), out.Checksum)
	return t.print()
}
