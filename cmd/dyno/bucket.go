// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/kv"
)

// bucketOutput is a bucket in JSON.
type bucketOutput struct {
	Name    string `json:"name"`
	ID      uint32 `json:"id"`
	N       int    `json:"n"`
	R       string `json:"r"`
	W       string `json:"w"`
	PR      string `json:"pr"`
	PW      string `json:"pw"`
	Sloppy  bool   `json:"sloppy"`
	Resolve string `json:"resolve"`
	TTLMS   int64  `json:"ttl_ms"`
	Fenced  bool   `json:"fenced"`
}

type bucketsOutput struct {
	head
	Buckets []bucketOutput `json:"buckets"`
}

func newBucketOutput(b *client.BucketInfo) bucketOutput {
	out := bucketOutput{
		Name: b.Name, ID: uint32(b.ID), N: int(b.N),
		R: b.R.Or(kv.LevelQuorum).String(), W: b.W.Or(kv.LevelQuorum).String(),
		PR: b.PR.Or(kv.LevelZero).String(), PW: b.PW.Or(kv.LevelZero).String(),
		Sloppy: b.Sloppy, Resolve: "siblings", TTLMS: b.TTL, Fenced: b.Fenced,
	}
	if b.LWW {
		out.Resolve = "lww"
	}
	return out
}

func (a *app) bucketCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the buckets", Args: takes(0, 0),
		Example: "  dyno bucket list",
		RunE: a.does(a.asks(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.Buckets(ctx)
			if err != nil {
				return err
			}
			return a.printBuckets(all)
		})),
	}
	show := &cobra.Command{
		Use: "show NAME", Short: "Show the properties of a bucket", Args: takes(1, 1),
		Example: "  dyno bucket show default -o json",
		RunE: a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
			b, err := c.Bucket(args[0]).Info(ctx)
			if err != nil {
				return err
			}
			return a.printBuckets([]client.BucketInfo{b})
		})),
	}
	return a.parent("bucket", "Named spaces of keys", a.bucketCreateCommand(), list, show,
		a.bucketUpdateCommand(), a.bucketDeleteCommand())
}

func (a *app) printBuckets(all []client.BucketInfo) error {
	out := bucketsOutput{head: newHead(), Buckets: []bucketOutput{}}
	t := a.newTable("bucket", "n", "r", "w", "pr", "pw", "sloppy", "resolve", "ttl")
	for i := range all {
		b := newBucketOutput(&all[i])
		out.Buckets = append(out.Buckets, b)
		ttl := "-"
		if b.TTLMS > 0 {
			ttl = strconv.FormatInt(b.TTLMS, 10) + " ms"
		}
		t.row(b.Name, b.N, b.R, b.W, b.PR, b.PW, b.Sloppy, b.Resolve, ttl)
	}
	if a.form == formJSON {
		return a.printJSON(out)
	}
	return t.print()
}
