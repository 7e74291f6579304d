// SPDX-License-Identifier: Apache-2.0

package sim

import "sync"

// gate stops those who pass it while it is shut: what a paused process would have done
// waits. A nil gate is open for ever.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed by reopening; nil while the gate is open
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// wait returns once the gate is open. It must not be called with a mutex held.
func (g *gate) wait() {
	for c := g.shutting(); c != nil; c = g.shutting() {
		<-c
	}
}

// shutting is what to wait for; nil where the gate is open.
func (g *gate) shutting() <-chan struct{} {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut
}
