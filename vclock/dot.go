// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"cmp"
	"errors"
	"fmt"
)

const incarnationBits = 48

// MaxIncarnation is the largest incarnation that fits an Actor.
const MaxIncarnation = 1<<incarnationBits - 1

// ErrIncarnation is returned for an incarnation that does not fit 48 bits, or zero.
var ErrIncarnation = errors.New("vclock: incarnation must be 1 to 2^48-1")

// Actor is one incarnation of one (partition, role) store: 16 bits node number, 48
// random bits. A new incarnation begins whenever the store may not hold all its
// own earlier dots, so that no dot is ever issued twice (TRAPS C1 to C6).
type Actor uint64

// NewActor joins a node number and the random bits of an incarnation.
func NewActor(node uint16, incarnation uint64) (Actor, error) {
	if incarnation == 0 || incarnation > MaxIncarnation {
		return 0, fmt.Errorf("%w: %d", ErrIncarnation, incarnation)
	}
	return Actor(uint64(node)<<incarnationBits | incarnation), nil
}

// Node is the number of the node that the actor belongs to.
func (a Actor) Node() uint16 { return uint16(a >> incarnationBits) }

// Incarnation is the actor's random part.
func (a Actor) Incarnation() uint64 { return uint64(a) & MaxIncarnation }

func (a Actor) String() string { return fmt.Sprintf("%d.%012x", a.Node(), a.Incarnation()) }

// Dot names one write. The zero Dot names none.
type Dot struct {
	Actor   Actor
	Counter uint64 // 1 to MaxCounter in a real dot
}

// IsZero reports whether d names no write.
func (d Dot) IsZero() bool { return d == Dot{} }

// Compare orders dots by actor, then counter. The order means nothing causal; it
// makes results the same everywhere.
func (d Dot) Compare(e Dot) int {
	if c := cmp.Compare(d.Actor, e.Actor); c != 0 {
		return c
	}
	return cmp.Compare(d.Counter, e.Counter)
}

func (d Dot) String() string { return fmt.Sprintf("%s:%d", d.Actor, d.Counter) }
