// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/client"
)

// A node that was stopped while others wrote has everything once a round of it is done:
// nobody reads before, and then its own copy is read.
func TestARoundBringsANodeEverythingThatItMissed(t *testing.T) {
	dc := cluster(t)
	c := connectTo(t, dc, 1, 2, 3)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	at := func(node int) client.Option {
		return client.WithEndpoint(dc.Members()[node-1].Client)
	}
	if err := dc.StopNode(ctx, "n3"); err != nil {
		t.Fatal(err)
	}
	b := c.Bucket(client.DefaultBucket)
	key := func(i int) []byte { return fmt.Appendf(nil, "missed %d", i) }
	for i := range 50 {
		if _, err := b.Put(ctx, key(i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	if err := dc.StartNode(ctx, "n3"); err != nil {
		t.Fatal(err)
	}
	if err := c.RepairPause(ctx, time.Hour, at(3)); err != nil {
		t.Fatal(err)
	}
	got, err := c.RepairRun(ctx, at(3))
	if err != nil || got.Node != "n3" || got.Round != 1 || got.PausedMS == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	got, err = c.RepairWait(ctx, 1, at(3), client.WithTimeout(time.Second))
	if err != nil || got.Pairs == 0 || got.Settled == got.Pairs {
		t.Fatalf("of a round that is paused: %+v, %v", got, err)
	}
	if err := c.RepairResume(ctx, at(3)); err != nil {
		t.Fatal(err)
	}
	for got.Settled < got.Pairs {
		if got, err = c.RepairWait(ctx, 1, at(3), client.WithTimeout(5*time.Second)); err != nil {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	for i := range 50 {
		found, err := b.Get(ctx, key(i), client.WithR(client.One), at(3))
		if err != nil {
			t.Errorf("%s: %v", key(i), err)
		} else if v, err := found.Value(); err != nil || string(v) != "v" {
			t.Errorf("%s is %q, %v", key(i), v, err)
		}
	}
	if got, err = c.RepairStatus(ctx, at(3)); err != nil || got.Never || got.Trees.Known == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, d := range []time.Duration{0, time.Microsecond, client.MaxRepairPause + 1} {
		if err := c.RepairPause(ctx, d, at(3)); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("a pause of %v: %v", d, err)
		}
	}
}
