// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/kv"
)

const (
	maxParallel = 256
	// giveUpAfter is how many failures in a row end an import: the cluster is gone, and
	// each further key would wait for it in vain.
	giveUpAfter = 100
)

type importFlags struct {
	keyFlags
	prefix, format string
	parallel       int
	resume         bool
}

func (a *app) importCommand() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import PATH",
		Short: "Store a directory tree, or a file of keys and values",
		Long: `Stores what it finds at PATH:

  a directory  a key for each regular file: its path relative to the directory, with
               slashes, after --prefix. The value is the file's content.
  a file       a key for each line: NDJSON ({"key": "k", "value": "v"}, or key_base64,
               value_base64; what 'kv scan -o json' prints) or TSV (key, tab, value; \t, \n,
               \r and \\ are escapes). The name's ending tells which, or --format.
  -            standard input; --format is needed.

A key that is there is overwritten: after the import it has the imported value only. A
file over 512 KiB, or a key over 4 KiB, is too large; it and whatever else can not be
stored is reported, the rest is stored, and the exit code is not 0. Of a key that comes
twice the last value stays. Times at which values expire are not taken over.

--resume reads each key first and leaves alone those that have the same content already,
so that an import that was interrupted, or had failures, goes on where it was. Nothing but
the cluster's content decides: no state file, and a source that changed meanwhile is
stored as it is now.`,
		Example: `  dyno kv import ./site --prefix site/
  dyno kv import ./site --prefix site/ --resume
  dyno kv import keys.ndjson
  dyno kv scan -o json | dyno kv import - --format ndjson -e other:4610`,
		Args: takes(1, 1),
	}
	f.flags(c)
	f.levels.readFlags(c.Flags())
	f.levels.writeFlags(c.Flags())
	a.completeLevels(c)
	c.Flags().StringVar(&f.prefix, "prefix", "", "put this before each key")
	c.Flags().StringVar(&f.format, "format", "", "of a file: ndjson or tsv")
	c.Flags().IntVar(&f.parallel, "parallel", 32, "how many keys are stored at a time, 1 to 256")
	c.Flags().BoolVar(&f.resume, "resume", false, "leave alone what is stored already")
	a.complete(c, "format", "ndjson", "tsv")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if f.parallel < 1 || f.parallel > maxParallel {
			return usage("--parallel %d: must be 1 to %d", f.parallel, maxParallel)
		}
		return a.importPath(ctx, &f, args[0])
	})
	return c
}

// importPath opens what there is to import.
func (a *app) importPath(ctx context.Context, f *importFlags, path string) error {
	if path == "-" {
		parse, err := f.parser("")
		if err != nil {
			return err
		}
		return a.importAll(ctx, f, lineSource(a.in, f.prefix, parse), -1)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		total := int64(0)
		if terminal(a.errs) {
			total = dirSize(path)
		}
		return a.importAll(ctx, f, dirSource(path, f.prefix), total)
	}
	parse, err := f.parser(path)
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	err = a.importAll(ctx, f, lineSource(file, f.prefix, parse), info.Size())
	return errors.Join(err, file.Close())
}

// parser chooses how lines are read.
func (f *importFlags) parser(path string) (parser, error) {
	format := f.format
	if format == "" {
		format = strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	}
	switch format {
	case "ndjson", "jsonl", "json":
		return parseNDJSON, nil
	case "tsv", "tab":
		return parseTSV, nil
	case "":
		return nil, usage("--format is needed: ndjson or tsv")
	default:
		return nil, usage("format %q: must be ndjson or tsv (--format)", format)
	}
}

// importAll stores items, several at a time.
func (a *app) importAll(ctx context.Context, f *importFlags, from source, total int64) error {
	c, err := a.connect(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	imp := &importer{
		bucket: c.Bucket(f.bucket), flags: f, tally: a.newTally("import", total), giveUp: giveUp,
	}
	broken := imp.storeAll(ctx, from)
	if ctx.Err() != nil {
		broken = context.Cause(ctx)
		a.say("dyno: the import is not complete; --resume goes on with it")
	}
	return a.report(imp.tally, "imported", broken)
}

// importer is what the workers share.
type importer struct {
	bucket *client.Bucket
	flags  *importFlags
	tally  *tally
	giveUp context.CancelCauseFunc
}

// storeAll does all items, several at a time, but those of one key one after another: of
// a key that comes twice the last value stays. It returns what ended the source early.
func (imp *importer) storeAll(ctx context.Context, from source) error {
	items := make(chan item)      // no buffer: a source is not read ahead of the workers
	finished := make(chan []byte) // keys that are done
	var workers sync.WaitGroup
	for range imp.flags.parallel {
		workers.Go(func() {
			for it := range items {
				imp.store(ctx, it)
				finished <- it.key
			}
		})
	}
	busy := make(map[string]bool) // the keys that are under way
	give := func(it item) {
		for ctx.Err() == nil {
			open := items
			if busy[string(it.key)] {
				open = nil // not before the other one is done
			}
			select {
			case open <- it:
				busy[string(it.key)] = true
				return
			case key := <-finished:
				delete(busy, string(key))
			case <-ctx.Done():
			}
		}
	}
	var broken error
	for it, err := range from {
		if broken = err; err != nil {
			break
		}
		if give(it); ctx.Err() != nil {
			break
		}
	}
	close(items)
	go func() { // ends with the workers
		workers.Wait()
		close(finished)
	}()
	for range finished { // until all have ended
	}
	return broken
}

// store does one item.
func (imp *importer) store(ctx context.Context, it item) {
	if ctx.Err() != nil {
		return
	}
	defer imp.tally.seen(it.bytes)
	value, err := it.load()
	if err != nil {
		imp.tally.failed(it.where, err)
		return
	}
	skipped, err := imp.put(ctx, it.key, value)
	switch {
	case ctx.Err() != nil: // what became of it is not known; --resume finds out
	case skipped:
		imp.tally.skipped()
	case err == nil:
		imp.tally.copied(len(value))
	case imp.tally.failed(it.where, err) >= giveUpAfter:
		imp.giveUp(fmt.Errorf("given up after %d failures in a row: %w", giveUpAfter, err))
	}
}

// put makes value the only one that the key has. What is there is read first: its
// context is what the write overwrites.
func (imp *importer) put(ctx context.Context, key, value []byte) (skipped bool, err error) {
	if len(key) > kv.MaxKey {
		return false, fmt.Errorf("the key has %d bytes, at most %d", len(key), kv.MaxKey)
	}
	opts := imp.flags.levels.read()
	if !imp.flags.resume {
		opts = append(opts, client.MetaOnly())
	}
	found, err := imp.bucket.Get(ctx, key, opts...)
	if err != nil {
		return false, err
	}
	if imp.flags.resume && len(found.Siblings) == 1 && bytes.Equal(found.Siblings[0].Value, value) {
		return true, nil
	}
	opts = imp.flags.levels.write()
	if len(found.Context) > 0 {
		opts = append(opts, client.WithContext(found.Context))
	}
	result, err := imp.bucket.Put(ctx, key, value, opts...)
	if err != nil {
		return false, err
	}
	if result.SiblingCount > 1 {
		return false, failWith(exitConflict,
			"somebody else wrote it meanwhile: it has %d values now", result.SiblingCount)
	}
	return false, nil
}
