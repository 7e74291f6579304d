// SPDX-License-Identifier: Apache-2.0

package kv

const (
	stampLogicalBits = 16
	maxStamp         = Stamp(1<<64 - 1)
)

// Stamp is a hybrid logical clock reading: 48 bits of Unix milliseconds, 16 bits of
// counter (Kulkarni et al., "Logical Physical Clocks", 2014, section 3, in the
// compact form). Stamps are shown to people and decide in lww buckets; they never
// decide about causality.
type Stamp uint64

// StampAt is the first stamp of a millisecond. Before 1970 it is 0, and from the year
// 10889 on that of the last millisecond that a stamp can hold: it never wraps around.
func StampAt(unixMilli int64) Stamp {
	if unixMilli < 0 {
		return 0
	}
	return Stamp(uint64(min(unixMilli, maxStamp.UnixMilli())) << stampLogicalBits)
}

// Next is the stamp of an event at now (Unix milliseconds) that follows s: the
// clock's where the clock is ahead, else the one directly after s. Only the last stamp
// of all is followed by itself.
func (s Stamp) Next(unixMilli int64) Stamp {
	if at := StampAt(unixMilli); at > s {
		return at
	}
	return s + min(1, maxStamp-s)
}

// UnixMilli is the stamp's wall-clock part.
func (s Stamp) UnixMilli() int64 { return int64(s >> stampLogicalBits) }
