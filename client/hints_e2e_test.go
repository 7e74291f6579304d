// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/client"
)

// A node that was stopped while others wrote has everything when a wait for hints ends, of
// its own: nobody reads before.
func TestAWaitForHintsBringsANodeWhatItMissed(t *testing.T) {
	dc := cluster(t)
	c := connectTo(t, dc, 1, 2, 3)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.HintsWait(ctx, nil); err != nil {
		t.Fatalf("with nothing to wait for: %v", err)
	}
	if err := dc.StopNode(ctx, "n3"); err != nil {
		t.Fatal(err)
	}
	b := c.Bucket(client.DefaultBucket)
	key := func(i int) []byte { return fmt.Appendf(nil, "hinted %d", i) }
	for i := range 50 {
		if _, err := b.Put(ctx, key(i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	short, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	var last client.HintsProgress
	err := c.HintsWait(short, func(p client.HintsProgress) { last = p })
	if err == nil || last.Done || !slices.Equal(last.Missing, []string{"n3"}) {
		t.Fatalf("while a node is down: %+v, %v", last, err)
	}
	status, err := c.HintsStatus(ctx)
	if err != nil || len(status.Nodes) != 3 {
		t.Errorf("%+v, %v", status, err)
	}
	kept := uint64(0)
	for _, n := range status.Nodes {
		if (n.Node == "n3") != (n.Reason != "") {
			t.Errorf("%s: %q", n.Node, n.Reason)
		}
		for _, backlog := range n.Backlog {
			if backlog.Peer != "n3" {
				t.Errorf("%s keeps something for %s", n.Node, backlog.Peer)
			}
			kept += backlog.Hints + backlog.Markers
		}
	}
	if kept < 50 {
		t.Errorf("%d hints and markers are kept for 50 keys", kept)
	}
	if err := dc.StartNode(ctx, "n3"); err != nil {
		t.Fatal(err)
	}
	if err := c.HintsWait(ctx, func(p client.HintsProgress) { last = p }); err != nil || !last.Done {
		t.Fatalf("%+v, %v", last, err)
	}
	for i := range 50 {
		got, err := b.Get(ctx, key(i), client.WithR(client.One),
			client.WithEndpoint(dc.Members()[2].Client))
		if err != nil {
			t.Errorf("%s: %v", key(i), err)
		} else if v, err := got.Value(); err != nil || string(v) != "v" {
			t.Errorf("%s is %q, %v", key(i), v, err)
		}
	}
	if err := c.HintsWait(ctx, nil, client.WithStale()); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("an option that it has not: %v", err)
	}
}
