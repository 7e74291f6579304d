// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// entryOutput is one line of `dyno kv scan -o json`.
type entryOutput struct {
	head
	name
	Siblings []siblingOutput `json:"siblings,omitempty"`
	Context  string          `json:"context,omitempty"`
}

type scanFlags struct {
	keyFlags
	limit    int
	keysOnly bool
	long     bool
}

func (a *app) scanCommand() *cobra.Command {
	var f scanFlags
	c := &cobra.Command{
		Use:     "scan [PREFIX]",
		Aliases: []string{"ls"},
		Short:   "List the keys that begin with a prefix",
		Long: `Lists keys, one on each line; keys that a terminal can not show are quoted. The order is
that of partitions, then keys. --long adds how many values a key has, their size, and when
the last of them was written.

With -o json there is one document on each line, with values and contexts unless
--keys-only is given.

Where a part of the keys could not be read, what was found is printed, a message says so,
and the exit code is 5.`,
		Example: `  dyno kv scan
  dyno kv scan user/ --long
  dyno kv scan user/ -o json --limit 10`,
		Args: takes(0, 1),
	}
	f.flags(c)
	c.Flags().IntVar(&f.limit, "limit", 0, "print so many keys at most; 0: all")
	c.Flags().BoolVar(&f.keysOnly, "keys-only", false, "no values and contexts in JSON")
	c.Flags().BoolVarP(&f.long, "long", "l", false, "values, size and time of each key")
	c.MarkFlagsMutuallyExclusive("keys-only", "long")
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		if f.limit < 0 {
			return usage("--limit %d: must not be negative", f.limit)
		}
		prefix := ""
		if len(args) > 0 {
			prefix = args[0]
		}
		return a.scan(ctx, c, &f, prefix)
	}))
	return c
}

func (a *app) scan(ctx context.Context, c *client.Client, f *scanFlags, prefix string) error {
	var opts []client.Option
	if f.keysOnly || a.form == formTable && !f.long {
		opts = append(opts, client.KeysOnly())
	}
	if f.limit > 0 && f.limit < maxPage {
		opts = append(opts, client.WithLimit(f.limit))
	}
	var t *table
	if a.form == formTable && f.long {
		t = a.newTable("key", "values", "bytes", "written")
	}
	scan, n := c.Bucket(f.bucket).Scan([]byte(prefix), opts...), 0
	var failed error
	for e, err := range scan.All(ctx) {
		if err == nil {
			err = a.printEntry(t, &e)
		}
		if err != nil {
			failed = err
			break
		}
		if n++; n == f.limit {
			break
		}
	}
	if t != nil {
		failed = errors.Join(failed, t.print())
	}
	if failed != nil {
		return failed
	}
	if n != f.limit || f.limit == 0 {
		return incomplete(scan)
	}
	return nil
}

// maxPage is how many entries a node puts on a page at most.
const maxPage = 1024

// incomplete is the error of a walk that may have missed keys.
func incomplete(scan *client.Scan) error {
	if scan.Complete() {
		return nil
	}
	return failWith(exitUnavailable, "some keys may be missing: a part of them could not be read "+
		"from enough replicas ('dyno cluster status' shows who is down)")
}

func (a *app) printEntry(t *table, e *client.Entry) error {
	switch {
	case a.form == formJSON:
		out := entryOutput{head: newHead(), name: newName(e.Key)}
		if len(e.Siblings) > 0 {
			out.Siblings, out.Context = siblingOutputs(e.Siblings, false), encodeContext(e.Context)
		}
		return a.printJSON(out)
	case t == nil:
		return a.printf("%s\n", shown(e.Key))
	}
	bytes, last := 0, time.Time{}
	for i := range e.Siblings {
		bytes += len(e.Siblings[i].Value)
		if w := e.Siblings[i].Written; w.After(last) {
			last = w
		}
	}
	t.row(shown(e.Key), len(e.Siblings), bytes, moment(last))
	return nil
}
