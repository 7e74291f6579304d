// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"sync"
	"sync/atomic"

	"github.com/dyno-kv/dyno/meta/state"
)

// views holds the newest view that this member knows, from wherever it came: the state,
// the disk, or a peer. It never goes back (I6).
type views struct {
	newest atomic.Pointer[state.View]

	mu      sync.Mutex // guards what follows, and that newest only rises
	watches []chan struct{}
}

// newer reports whether a is to replace b. Before formation there is no version, and what
// changes is how many have registered: the index tells.
func newer(a, b *state.View) bool {
	switch {
	case a == nil:
		return false
	case b == nil:
		return true
	case a.Version != b.Version:
		return a.Version > b.Version
	case a.Generation != b.Generation:
		return a.Generation > b.Generation
	default:
		return a.Index > b.Index
	}
}

// offer takes a view where it is newer, and wakes who watches.
func (v *views) offer(offered *state.View) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !newer(offered, v.newest.Load()) {
		return
	}
	v.newest.Store(offered)
	for _, w := range v.watches {
		signal(w)
	}
}

// watch returns a channel that has a token when there is a newer view, and at first.
func (v *views) watch() (<-chan struct{}, func()) {
	w := make(chan struct{}, 1)
	w <- struct{}{}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.watches = append(v.watches, w)
	return w, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		for i, other := range v.watches {
			if other == w {
				v.watches = append(v.watches[:i:i], v.watches[i+1:]...)
				return
			}
		}
	}
}

// signal leaves a token in a channel of size 1: one that is there says the same.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
