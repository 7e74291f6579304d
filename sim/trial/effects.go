// SPDX-License-Identifier: Apache-2.0

package trial

import "slices"

// effects are what the faults that are set do to one thing, in the order in which they
// began. Several may do something to it at a time, and end in any order: what is left when
// one ends is what the others do.
type effects[T any] []effect[T]

type effect[T any] struct {
	fault int // its number
	value T
}

func (e *effects[T]) begin(f *fault, value T) { *e = append(*e, effect[T]{f.number, value}) }

func (e *effects[T]) end(f *fault) {
	*e = slices.DeleteFunc(*e, func(x effect[T]) bool { return x.fault == f.number })
}

// values are those of the faults that are set.
func (e effects[T]) values() []T {
	var out []T
	for _, x := range e {
		out = append(out, x.value)
	}
	return out
}

// newest is the value of the fault that began last; otherwise where there is none.
func (e effects[T]) newest(otherwise T) T {
	if len(e) == 0 {
		return otherwise
	}
	return e[len(e)-1].value
}
