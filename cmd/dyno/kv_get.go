// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// getOutput is what `dyno kv get -o json` prints.
type getOutput struct {
	head
	Bucket string `json:"bucket"`
	name
	Found    bool            `json:"found"`
	Siblings []siblingOutput `json:"siblings"`
	// Context is for --context: a write with it overwrites what is shown here. A key that
	// was deleted has one too.
	Context string `json:"context"`
	Node    string `json:"node"`
}

type getFlags struct {
	keyFlags
	all, meta, atomic bool
}

func (a *app) getCommand() *cobra.Command {
	var f getFlags
	c := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long: `Prints the value of a key, as it is and nothing else.

A key has several values (siblings) where two writers wrote without having read each
other. Then they are listed on standard error and the exit code is 4; --all prints them
all, each followed by a newline. To settle them, write one with the context that is shown:
dyno kv put KEY VALUE --context CONTEXT.

A key that is not there ends with 3, too few replicas with 5.`,
		Example: `  dyno kv get greeting
  dyno kv get greeting --r all
  dyno kv get greeting --meta
  dyno kv get greeting -o json`,
		Args: takes(1, 1),
	}
	f.flags(c)
	f.levels.readFlags(c.Flags())
	c.Flags().BoolVar(&f.all, "all", false, "print every sibling")
	c.Flags().BoolVar(&f.meta, "meta", false, "print when values were written and the context, "+
		"not the values")
	c.Flags().BoolVar(&f.atomic, "atomic", false, "never go back behind an earlier atomic read")
	a.completeLevels(c)
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		return a.get(ctx, c, &f, args[0])
	}))
	return c
}

func (a *app) get(ctx context.Context, c *client.Client, f *getFlags, key string) error {
	opts := f.levels.read()
	if f.meta {
		opts = append(opts, client.MetaOnly())
	}
	if f.atomic {
		opts = append(opts, client.WithAtomic())
	}
	result, err := c.Bucket(f.bucket).Get(ctx, []byte(key), opts...)
	if err != nil {
		return err
	}
	if a.form == formJSON {
		err = a.printJSON(getOutput{
			head: newHead(), Bucket: f.bucket, name: newName([]byte(key)), Found: result.Found,
			Siblings: siblingOutputs(result.Siblings, f.meta),
			Context:  encodeContext(result.Context), Node: result.Node,
		})
	} else if f.meta {
		err = a.printMeta(&result)
	}
	switch {
	case err != nil:
		return err
	case !result.Found:
		return fmt.Errorf("%w: %s", client.ErrNotFound, shown([]byte(key)))
	case f.meta:
		return nil
	case f.all:
		return a.printAll(result.Siblings)
	case len(result.Siblings) > 1:
		return a.tellSiblings(key, &result)
	case a.form == formJSON:
		return nil
	}
	if _, err := a.out.Write(result.Siblings[0].Value); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// printAll prints values, each on a line of its own.
func (a *app) printAll(list []client.Sibling) error {
	if a.form == formJSON {
		return nil // they are in the document
	}
	for i := range list {
		if err := a.printf("%s\n", list[i].Value); err != nil {
			return err
		}
	}
	return nil
}

// tellSiblings lists what a key has instead of one value.
func (a *app) tellSiblings(key string, result *client.Result) error {
	a.say("dyno: %s has %d values; choose or join them, and write the outcome with --context:",
		shown([]byte(key)), len(result.Siblings))
	for i := range result.Siblings {
		s := &result.Siblings[i]
		a.say("  %d. %s  %s  %s", i+1, moment(s.Written), size(int64(len(s.Value))),
			preview(s.Value))
	}
	a.say("context: %s", encodeContext(result.Context))
	return silently(exitConflict)
}

func (a *app) printMeta(result *client.Result) error {
	if len(result.Siblings) > 0 {
		t := a.newTable("sibling", "written", "expires")
		for i := range result.Siblings {
			s := &result.Siblings[i]
			t.row(i+1, moment(s.Written), moment(s.Expires))
		}
		if err := t.print(); err != nil {
			return err
		}
	}
	return a.printf("context: %s\n", encodeContext(result.Context))
}
