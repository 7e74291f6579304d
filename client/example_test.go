// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/node/dev"
)

// connect runs a cluster of one node and returns a client of it, and what ends both.
func connect() (*client.Client, func()) {
	dir, err := os.MkdirTemp("", "dyno-example-")
	if err != nil {
		panic(err)
	}
	cluster, err := dev.Open(context.Background(), devConfig(dir, 1), zap.NewNop())
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- cluster.Run(ctx) }()
	if _, err := cluster.Ready(ctx); err != nil {
		panic(err)
	}
	cfg := client.DefaultConfig()
	cfg.Endpoints = []string{cluster.Members()[0].Client}
	c, err := client.New(cfg)
	if err != nil {
		panic(err)
	}
	return c, func() {
		c.Close()
		cancel()
		if err := errors.Join(<-ended, os.RemoveAll(dir)); err != nil {
			panic(err)
		}
	}
}

// Two writers who do not know of each other leave siblings. A reader joins them, and
// replaces them by a put with the context of what it read.
func Example() {
	c, end := connect()
	defer end()
	ctx, carts, key := context.Background(), c.Bucket("default"), []byte("cart:17")

	for _, thing := range []string{"apples", "bread"} {
		if _, err := carts.Put(ctx, key, []byte(thing)); err != nil {
			fmt.Println(err)
		}
	}
	found, err := carts.Get(ctx, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := found.Value(); errors.Is(err, client.ErrSiblings) {
		fmt.Println("siblings:", len(found.Siblings))
	}
	_, err = carts.Put(ctx, key, []byte("apples and bread"), client.WithContext(found.Context))
	if err != nil {
		fmt.Println(err)
	}
	found, err = carts.Get(ctx, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := found.Value()
	fmt.Println(string(value), err)
	// Output:
	// siblings: 2
	// apples and bread <nil>
}

// Update does the round of reading, changing and writing. The resolver joins what others
// wrote at the same time.
func ExampleBucket_Update() {
	c, end := connect()
	defer end()
	carts := c.Bucket("default")
	add := func(thing string) {
		_, err := carts.Update(context.Background(), []byte("cart:17"),
			func(siblings []client.Sibling) ([]byte, error) {
				cart := []byte(thing + "\n")
				for _, s := range siblings {
					cart = append(cart, s.Value...)
				}
				return cart, nil
			}, client.WithResolver(client.SetUnion('\n')))
		if err != nil {
			fmt.Println(err)
		}
	}
	add("bread")
	add("apples")
	found, err := carts.Get(context.Background(), []byte("cart:17"))
	if err != nil {
		fmt.Println(err)
		return
	}
	cart, _ := found.Value()
	fmt.Print(string(cart))
	// Output:
	// apples
	// bread
}

// A walk over the keys that begin with a prefix.
func ExampleBucket_Scan() {
	c, end := connect()
	defer end()
	ctx, b := context.Background(), c.Bucket("default")
	for _, key := range []string{"a:1", "a:2", "b:1"} {
		if _, err := b.Put(ctx, []byte(key), nil); err != nil {
			fmt.Println(err)
		}
	}
	scan, count := b.Scan([]byte("a:"), client.KeysOnly()), 0
	for _, err := range scan.All(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		count++
	}
	fmt.Println(count, scan.Complete())
	// Output: 2 true
}

// What failed, and whether it may simply be done again, is told by the error.
func ExampleError() {
	c, end := connect()
	defer end()
	_, err := c.Bucket("no-such").Put(context.Background(), []byte("k"), nil)
	fmt.Println(errors.Is(err, client.ErrNoSuchBucket), client.OutcomeOf(err))
	// Output: true none
}

// One of several processes does the work; the next one does it when that one has gone.
// The context ends when the lock is lost, and the fence lets what is worked on refuse a
// holder that has not noticed.
func ExampleClient_WithLock() {
	c, end := connect()
	defer end()
	err := c.WithLock(context.Background(), "jobs/compact",
		func(ctx context.Context, fence uint64) error {
			fmt.Println("working with a fence:", fence > 0)
			return ctx.Err()
		})
	fmt.Println(err)
	// Output:
	// working with a fence: true
	// <nil>
}

// A session holds any number of locks, until each is given back or the session is over.
func ExampleSession() {
	c, end := connect()
	defer end()
	ctx := context.Background()
	s, err := c.NewSession(ctx, client.WithTTL(30*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close(ctx) }()

	first, err := s.Mutex("disk").Lock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = s.Mutex("disk").TryLock(ctx)
	fmt.Println("another goroutine:", errors.Is(err, client.ErrLocked))
	if err := first.Unlock(ctx); err != nil {
		fmt.Println(err)
	}
	second, err := s.Mutex("disk").TryLock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the fence has grown:", second.Fence() > first.Fence())
	// Output:
	// another goroutine: true
	// the fence has grown: true
}
