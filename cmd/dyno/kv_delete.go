// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// deleteOutput is what `dyno kv delete -o json` prints.
type deleteOutput struct {
	head
	Bucket string `json:"bucket"`
	name
	Context string `json:"context"`
	Node    string `json:"node"`
}

func (a *app) deleteCommand() *cobra.Command {
	var f writeFlags
	c := &cobra.Command{
		Use:     "delete KEY",
		Aliases: []string{"rm"},
		Short:   "Delete the values of a key",
		Long: `Deletes what a quorum of replicas has of a key, or with --context what that covers.
Values that were written without the deleter having seen them stay.

That there was nothing to delete is no error.`,
		Example: "  dyno kv delete greeting\n  dyno kv delete greeting --context CONTEXT",
		Args:    takes(1, 1),
	}
	f.flags(a, c)
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		opts, err := f.options()
		if err != nil {
			return err
		}
		result, err := c.Bucket(f.bucket).Delete(ctx, []byte(args[0]), opts...)
		switch {
		case err != nil:
			return err
		case a.form == formJSON:
			return a.printJSON(deleteOutput{
				head: newHead(), Bucket: f.bucket, name: newName([]byte(args[0])),
				Context: encodeContext(result.Context), Node: result.Node,
			})
		case f.meta:
			return a.printf("context: %s\n", encodeContext(result.Context))
		default:
			return nil
		}
	}))
	return c
}
