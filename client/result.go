// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// Context is what a reader has seen of one key, opaque: a write with it overwrites
// exactly that. It holds for the key, bucket and cluster that it came from.
type Context []byte

// Sibling is one value of a key that no write has overwritten yet.
type Sibling struct {
	// Value belongs to the caller. It is nil only where the value was not asked for, and
	// for a tombstone; an empty value is an empty slice.
	Value []byte
	// Written is when, by the clock of the node that took the write: for people, and for
	// the resolvers that accept its lies.
	Written time.Time
	// Expires is when the value will be gone; zero: never.
	Expires time.Time
	// Deleted marks a tombstone.
	Deleted bool
	// Fence is that of the writer's lock; 0: none.
	Fence uint64
}

// Served says how an answer came about.
type Served struct {
	// Node is who answered: its name where that is known, else its address.
	Node string
	// Attempts is how often the request was sent, or tried to be; 1 where all went well.
	Attempts int
	// Moved says that an attempt of unknown outcome went to another node before. A write
	// may then be there twice for a while, until the two meet and become one.
	Moved bool
}

// Result is what a read found.
type Result struct {
	Served
	// Found says that there is at least one value.
	Found bool
	// Siblings are the values, in an order that is the same for every reader.
	Siblings []Sibling
	// Context covers them, and deletions before them. It may be there where nothing was
	// found: the key was deleted.
	Context Context
}

// Value is the one value of the key. It returns ErrNotFound where there is none, and
// ErrSiblings where there are several: then the caller must choose or join, and write
// the outcome with the result's Context.
func (r *Result) Value() ([]byte, error) {
	switch {
	case !r.Found || len(r.Siblings) == 0:
		return nil, ErrNotFound
	case len(r.Siblings) > 1:
		return nil, fmt.Errorf("%w: %d", ErrSiblings, len(r.Siblings))
	default:
		return r.Siblings[0].Value, nil
	}
}

// PutResult is an acknowledged put.
type PutResult struct {
	Served
	// Context covers what the writer had read and what it wrote: a next write with it
	// overwrites that, and no value of others.
	Context Context
	// SiblingCount is how many values the key has now. More than one: somebody else wrote
	// what this writer had not read.
	SiblingCount int
	// Siblings are those values, where [ReturnSiblings] asked for them and they fit; then
	// Context covers them all.
	Siblings []Sibling
	// RequestID is the one that the write carried.
	RequestID RequestID
}

// DeleteResult is an acknowledged delete.
type DeleteResult struct {
	Served
	// Context covers what was deleted.
	Context Context
	// RequestID is the one that the delete carried.
	RequestID RequestID
}

func siblingsOf(list []wire.Sibling) []Sibling {
	if len(list) == 0 {
		return nil
	}
	out := make([]Sibling, len(list))
	for i := range list {
		out[i] = siblingOf(&list[i])
	}
	return out
}

func siblingOf(s *wire.Sibling) Sibling {
	out := Sibling{
		Value: s.Value, Written: time.UnixMilli(s.TimestampMS), Deleted: s.Deleted,
		Fence: uint64(s.Fence),
	}
	if s.ExpiresMS != 0 {
		out.Expires = time.UnixMilli(s.ExpiresMS)
	}
	return out
}
