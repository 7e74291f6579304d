// SPDX-License-Identifier: Apache-2.0

package state

// Snapshot appends the whole state. Restore makes of it a state that goes on as s would.
func (s *State) Snapshot(dst []byte) []byte { return dst }

// Restore reads a snapshot. The error wraps ErrUnknown or ErrDamaged.
func Restore(b []byte) (*State, error) { return nil, nil }
