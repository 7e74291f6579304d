// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// bucketFlags are the properties of a bucket that can be changed.
type bucketFlags struct {
	levels levels
	sloppy bool
	ttl    time.Duration
}

func (b *bucketFlags) flags(a *app, c *cobra.Command) {
	f := c.Flags()
	const ask = " where a request says nothing: a number, one, quorum or all"
	f.VarP(&b.levels.r, "r", "r", "replicas that must answer a read"+ask)
	f.VarP(&b.levels.w, "w", "w", "replicas that must have stored a write"+ask)
	f.Var(&b.levels.pr, "pr", "owners among those that answer a read"+ask)
	f.Var(&b.levels.pw, "pw", "owners among those that stored a write"+ask)
	f.BoolVar(&b.sloppy, "sloppy", true, "let other nodes stand in for owners that are away")
	f.DurationVar(&b.ttl, "ttl", 0, "how long new values live; 0: they stay")
	a.completeLevels(c)
}

func (a *app) bucketCreateCommand() *cobra.Command {
	var b bucketFlags
	var resolve string
	var n int
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a bucket",
		Long: `Makes a bucket, a space of keys with properties of its own. What is not said is as in the
bucket "default". How siblings are resolved never changes again: siblings keeps the values
of writers that did not know of each other, lww the one that was written last.`,
		Example: "  dyno bucket create carts\n" +
			"  dyno bucket create sessions --ttl 24h --resolve lww --w all",
		Args: takes(1, 1),
	}
	b.flags(a, c)
	c.Flags().StringVar(&resolve, "resolve", "siblings",
		"what becomes of concurrent writes: siblings or lww")
	c.Flags().IntVar(&n, "n", 0,
		"replicas of a key; 0: as many as the cluster has, and no others yet")
	a.complete(c, "resolve", "siblings", "lww")
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		if resolve != "siblings" && resolve != "lww" {
			return usage("--resolve %q: must be siblings or lww", resolve)
		}
		made, err := c.CreateBucket(ctx, client.BucketSpec{
			Name: args[0], N: n, R: b.levels.r.Level, W: b.levels.w.Level, PR: b.levels.pr.Level,
			PW: b.levels.pw.Level, Strict: !b.sloppy, LWW: resolve == "lww", TTL: b.ttl,
		})
		if err != nil {
			return err
		}
		return a.printBuckets([]client.BucketInfo{made})
	}))
	return c
}

func (a *app) bucketUpdateCommand() *cobra.Command {
	var b bucketFlags
	c := &cobra.Command{
		Use:   "update NAME",
		Short: "Change properties of a bucket",
		Long: `Changes those properties of a bucket that are given; the others stay. Values that are
there keep their time to live.`,
		Example: "  dyno bucket update carts --pr 2 --pw 2\n  dyno bucket update sessions --ttl 12h",
		Args:    takes(1, 1),
	}
	b.flags(a, c)
	flags := c.Flags()
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		change := client.BucketChange{
			R: b.levels.r.Level, W: b.levels.w.Level, PR: b.levels.pr.Level, PW: b.levels.pw.Level,
		}
		if flags.Changed("sloppy") {
			change.Sloppy = &b.sloppy
		}
		if flags.Changed("ttl") {
			change.TTL = &b.ttl
		}
		if change == (client.BucketChange{}) {
			return usage("nothing to change; see dyno bucket update --help")
		}
		changed, err := c.UpdateBucket(ctx, args[0], change)
		if err != nil {
			return err
		}
		return a.printBuckets([]client.BucketInfo{changed})
	}))
	return c
}

func (a *app) bucketDeleteCommand() *cobra.Command {
	yes := false
	c := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a bucket with all its keys",
		Long: `Deletes a bucket with all its keys, for good. At a terminal it asks first; elsewhere it
needs --yes. Another bucket of that name begins empty.`,
		Example: "  dyno bucket delete carts\n  dyno bucket delete carts --yes",
		Args:    takes(1, 1),
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		if !yes {
			if !terminal(a.in) {
				return usage("bucket delete: nobody can be asked here; --yes deletes without asking")
			}
			question := fmt.Sprintf("This deletes bucket %s with all its keys, for good.\n"+
				"Type its name to go on: ", shown([]byte(args[0])))
			if err := a.confirm(ctx, question, args[0]); err != nil {
				return err
			}
		}
		return c.DeleteBucket(ctx, args[0])
	}))
	return c
}

// confirm asks a person, who must type the word to go on.
func (a *app) confirm(ctx context.Context, question, word string) error {
	const longest = 1024 // far above what a bucket's name can have
	if _, err := io.WriteString(a.errs, question); err != nil {
		return err
	}
	typed := make(chan string, 1)
	go func() { // where nobody types any more it ends with the process
		line, _ := bufio.NewReader(io.LimitReader(a.in, longest)).ReadString('\n')
		typed <- line
	}()
	select {
	case line := <-typed:
		if strings.TrimSpace(line) != word {
			return failWith(exitError, "not confirmed; nothing has changed")
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
