// SPDX-License-Identifier: Apache-2.0

package client

// numbers are the holder numbers of a session: each attempt at a lock takes a new one.
// The group is told up to which all are finished with, so that it can forget them. The
// zero value has given out none.
type numbers struct {
	last uint64
	// through: every number up to it is finished with.
	// Invariant: through <= last, and through+1 is not in finished.
	through uint64
	// finished are those above through.
	finished map[uint64]struct{}
}

func (n *numbers) take() uint64 {
	n.last++
	return n.last
}

// finish takes note that a number which was taken is not used any more, and that the group
// knows, or never heard of it.
func (n *numbers) finish(number uint64) {
	if number <= n.through || number > n.last {
		return
	}
	if number > n.through+1 {
		if n.finished == nil {
			n.finished = make(map[uint64]struct{})
		}
		n.finished[number] = struct{}{}
		return
	}
	for n.through = number; ; n.through++ {
		if _, done := n.finished[n.through+1]; !done {
			return
		}
		delete(n.finished, n.through+1)
	}
}
