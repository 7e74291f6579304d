// SPDX-License-Identifier: Apache-2.0

package fail

// Point is a place that a room passes, and what a plan may do there for the room to
// behave as it would if the real thing happened. To wait, and to have the process end, is
// possible at each: none is passed under a mutex.
type Point struct {
	// Name is "room/what-is-about-to-happen".
	Name string
	// Fails: an error is taken for that of what is about to happen. Elsewhere it is
	// ignored.
	Fails bool
	// Drops: what is about to happen may silently not happen.
	Drops bool
}
