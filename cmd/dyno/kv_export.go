// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

type exportFlags struct {
	keyFlags
	prefix    string
	overwrite bool
}

func (a *app) exportCommand() *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use:   "export DIR",
		Short: "Write keys into a directory tree, a file for each",
		Long: `Writes each key that begins with --prefix to a file below DIR: its path is the rest of the
key. DIR is made where it is not there. A file that is there with the same content is left
alone; with another one it is replaced only with --overwrite.

Refused and reported are keys that are no path below DIR (absolute, with '.', '..' or
empty elements), and keys that are a file and a directory at once. A key with several
values is not written: it is listed, and the exit code is 4. Where a part of the keys
could not be read the exit code is 5.`,
		Example: `  dyno kv export ./copy --prefix site/
  dyno kv export ./copy --prefix site/ --overwrite`,
		Args: takes(1, 1),
	}
	f.flags(c)
	c.Flags().StringVar(&f.prefix, "prefix", "", "write keys that begin so, without it")
	c.Flags().BoolVar(&f.overwrite, "overwrite", false, "replace files that have another content")
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		return a.exportTo(ctx, c, &f, args[0])
	}))
	return c
}

func (a *app) exportTo(ctx context.Context, c *client.Client, f *exportFlags, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Below a root no key, and no symbolic link that somebody put there, leads out of it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	exp := &exporter{root: root, flags: f, tally: a.newTally("export", -1)}
	scan := c.Bucket(f.bucket).Scan([]byte(f.prefix))
	var broken error
	for e, err := range scan.All(ctx) {
		if err != nil {
			broken = err
			break
		}
		exp.write(&e)
	}
	if broken == nil {
		broken = incomplete(scan)
	}
	exp.tally.out.Complete = broken == nil
	return errors.Join(a.report(exp.tally, "exported", broken), root.Close())
}

// exporter writes keys below a root.
type exporter struct {
	root  *os.Root
	flags *exportFlags
	tally *tally
}

// write does one key.
func (exp *exporter) write(e *client.Entry) {
	where := shown(e.Key)
	if n := len(e.Siblings); n != 1 {
		exp.tally.failed(where, failWith(exitConflict, "it has %d values; settle them first "+
			"('dyno kv get' shows them)", n))
		return
	}
	value := e.Siblings[0].Value
	same, err := exp.writeFile(strings.TrimPrefix(string(e.Key), exp.flags.prefix), value)
	exp.tally.seen(int64(len(value)))
	switch {
	case err != nil:
		exp.tally.failed(where, err)
	case same:
		exp.tally.skipped()
	default:
		exp.tally.copied(len(value))
	}
}

// checkPath refuses what is no plain path below a directory.
func checkPath(relative string) error {
	switch {
	case relative == "":
		return errors.New("nothing is left of the key without the prefix")
	case strings.ContainsRune(relative, 0):
		return errors.New("a path can not have a zero byte")
	case !filepath.IsLocal(filepath.FromSlash(relative)) || path.Clean(relative) != relative ||
		relative == ".":
		return errors.New("the key is no path below the directory: refused")
	default:
		return nil
	}
}

// writeFile writes one file. same says that it was there, with this content.
func (exp *exporter) writeFile(relative string, value []byte) (same bool, err error) {
	if err := checkPath(relative); err != nil {
		return false, err
	}
	name := filepath.FromSlash(relative)
	if same, err := exp.compare(name, value); same || err != nil {
		return same, err
	}
	if err := exp.root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrExist) {
			return false, fmt.Errorf("a part of its path is a key, and so a file, itself: %w", err)
		}
		return false, err
	}
	temporary, err := exp.writeTemporary(value)
	if err != nil {
		return false, err
	}
	if err := exp.root.Rename(temporary, name); err != nil {
		return false, errors.Join(err, exp.root.Remove(temporary))
	}
	return false, nil
}

// writeTemporary writes a file before it gets its name, so that none is ever there by
// half. Until then its name is one that no key can have by chance, and no file has.
func (exp *exporter) writeTemporary(value []byte) (name string, err error) {
	name = ".dyno-export-" + rand.Text()
	file, err := exp.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	_, err = file.Write(value)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, exp.root.Remove(name))
	}
	return name, nil
}

// compare looks at what has the name already. An error says that it must stay.
func (exp *exporter) compare(name string, value []byte) (same bool, err error) {
	info, err := exp.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return false, nil
	case err != nil:
		return false, err
	case info.IsDir():
		return false, errors.New("it is a directory, since other keys are below it")
	case info.Mode().IsRegular() && info.Size() == int64(len(value)):
		old, err := exp.root.ReadFile(name)
		if err == nil && bytes.Equal(old, value) {
			return true, nil
		}
	}
	if !exp.flags.overwrite {
		return false, errors.New("a file with another content is there; --overwrite replaces it")
	}
	return false, nil
}
