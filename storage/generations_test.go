// SPDX-License-Identifier: Apache-2.0

package storage

import "testing"

func TestDiscardStaysBelowTheOldestOpenRead(t *testing.T) {
	var g generations
	g.start.Store(10)
	long := g.enter() // reads at 10 or later
	for durable := uint64(11); durable < 50; durable++ {
		short := g.enter()
		if discard, moved := g.advance(durable); moved && discard > 10 {
			t.Fatalf("discard moved to %d under a read that may be at 10", discard)
		}
		g.leave(short)
	}
	g.leave(long)
	g.advance(50)
	g.advance(51)
	if discard, moved := g.advance(52); !moved || discard < 50 {
		t.Fatalf("discard is %d, moved %t; nothing holds it below 50", discard, moved)
	}
}

func TestAReadThatEntersLateHoldsItsOwnGeneration(t *testing.T) {
	var g generations
	first := g.enter()
	if _, moved := g.advance(1); !moved {
		t.Fatal("the first generation has no predecessor to wait for")
	}
	if _, moved := g.advance(2); moved {
		t.Fatal("a second generation began while a read of the first was open")
	}
	g.leave(first)
	second := g.enter() // in generation 1, which began at 1
	discard, moved := g.advance(3)
	if !moved || discard != 1 {
		t.Fatalf("discard %d, moved %t; want 1, true", discard, moved)
	}
	if _, moved = g.advance(4); moved {
		t.Fatal("generation 3 began while a read of generation 1 was open")
	}
	g.leave(second)
}
