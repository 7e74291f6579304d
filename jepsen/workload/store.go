// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Levels are how many replicas, and how many owners among them, a request needs. 0 leaves
// it to the store, and promises nothing to the checker.
type Levels struct{ R, W, PR, PW uint8 }

// Request is one request about one key. What it does not need is zero.
type Request struct {
	Key string
	// Value is what a put writes.
	Value []byte
	// Context is what a write overwrites; empty: it is sent without.
	Context []byte
	Levels  Levels
	// Node is the only node to be asked, counted from 1; 0: any.
	Node int
	// TTL is how long what a put writes lives, in whole milliseconds; 0: it stays.
	TTL time.Duration
	// Atomic is of reads.
	Atomic bool
	// Siblings asks a put for all values after it.
	Siblings bool
}

// Answer is what became of a request.
type Answer struct {
	// Outcome is Fail only where certainly nothing was done.
	Outcome history.Outcome
	// Values are what an ok read found, or an ok put that asked for siblings.
	Values [][]byte
	// Context covers those values; of a write, what it overwrote and itself.
	Context []byte
	// Moved says that the write may have been made twice, under two dots.
	Moved bool
	// Again says that it was sent more than once.
	Again bool
	// Node is who answered, Error why it is not ok; both are for people.
	Node  string
	Error string
}

// Store is the part of a client that workloads need. A session calls it from one
// goroutine; sessions that share a store call it from several.
type Store interface {
	Get(ctx context.Context, r *Request) Answer
	Put(ctx context.Context, r *Request) Answer
	// Delete without context deletes what the store finds.
	Delete(ctx context.Context, r *Request) Answer
}
