// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// putOutput is what `dyno kv put -o json` prints.
type putOutput struct {
	head
	Bucket string `json:"bucket"`
	name
	// Siblings is how many values the key has now.
	Siblings int    `json:"siblings"`
	Context  string `json:"context"`
	Node     string `json:"node"`
}

// writeFlags are what put and delete have in common.
type writeFlags struct {
	keyFlags
	context string
	meta    bool
}

func (f *writeFlags) flags(a *app, c *cobra.Command) {
	f.keyFlags.flags(c)
	f.levels.writeFlags(c.Flags())
	c.Flags().StringVar(&f.context, "context", "",
		"what you have read, as 'kv get --meta' prints it: exactly that is overwritten")
	c.Flags().BoolVar(&f.meta, "meta", false, "print the context for a next write")
	a.completeLevels(c)
}

func (f *writeFlags) options() ([]client.Option, error) {
	opts := f.levels.write()
	if f.context != "" {
		seen, err := decodeContext(f.context)
		if err != nil {
			return nil, err
		}
		opts = append(opts, client.WithContext(seen))
	}
	return opts, nil
}

func (a *app) putCommand() *cobra.Command {
	var (
		f    writeFlags
		file string
		ttl  time.Duration
	)
	c := &cobra.Command{
		Use:   "put KEY [VALUE | -]",
		Short: "Write a value",
		Long: `Writes a value, which comes from the argument, from --file, or from standard input (-).

Without --context it overwrites nothing that you have not read: where the key has a value
already, the new one becomes its sibling. With the context of a read exactly what was
read there is overwritten.

Where the exit code is 5 or 6 the message says whether the write may still be there
('outcome unknown') or certainly is not.`,
		Example: `  dyno kv put greeting hello
  dyno kv put logo --file logo.png --w all
  date | dyno kv put now - --ttl 1m
  dyno kv put greeting hallo --context "$(dyno kv get greeting -o json | jq -r .context)"`,
		Args: takes(1, 2),
	}
	f.flags(a, c)
	c.Flags().StringVar(&file, "file", "", "take the value from a file; - is standard input")
	c.Flags().DurationVar(&ttl, "ttl", 0, "how long the value lives (default: the bucket's)")
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		value, err := a.readValue(args[1:], file)
		if err != nil {
			return err
		}
		opts, err := f.options()
		if err != nil {
			return err
		}
		if ttl != 0 {
			opts = append(opts, client.WithTTL(ttl))
		}
		result, err := c.Bucket(f.bucket).Put(ctx, []byte(args[0]), value, opts...)
		if err != nil {
			return err
		}
		return a.tellPut(&f, args[0], &result)
	}))
	return c
}

func (a *app) tellPut(f *writeFlags, key string, result *client.PutResult) error {
	if result.SiblingCount > 1 {
		a.say("dyno: %s has %d values now: it had some that this write did not cover",
			shown([]byte(key)), result.SiblingCount)
	}
	if a.form == formJSON {
		return a.printJSON(putOutput{
			head: newHead(), Bucket: f.bucket, name: newName([]byte(key)),
			Siblings: result.SiblingCount, Context: encodeContext(result.Context),
			Node: result.Node,
		})
	}
	if f.meta {
		return a.printf("context: %s\n", encodeContext(result.Context))
	}
	return nil
}
