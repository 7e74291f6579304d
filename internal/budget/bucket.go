// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"errors"
	"fmt"
	"time"
)

// Piece is how many bytes an object costs that is moved by itself, beside its own: a small
// one keeps two nodes as busy as so many do that are moved in pages. Who takes adds it.
const Piece = 8 << 10

// Config says how much background work may move.
type Config struct {
	// Rate is how many bytes a second it may move while clients wait no longer than usual.
	Rate int64
	// Least is what it may always move.
	Least int64
	// Burst is how many bytes it may move at once after a rest.
	Burst int64
	// Strain is how many times as long as usual, in percent, clients may wait before
	// the rate is halved; 150 is one and a half times.
	Strain int
	// Floor is below which waits are never called long, whatever is usual.
	Floor time.Duration
}

// DefaultConfig moves up to 32 MiB a second, which fills 1 TiB in nine hours and is a third
// of a gigabit network, or 4,000 small objects; and always 1 MiB, or 120 of them.
func DefaultConfig() Config {
	return Config{
		Rate: 32 << 20, Least: 1 << 20, Burst: 1 << 20, Strain: 150, Floor: 3 * time.Millisecond,
	}
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	if c.Least < 1 || c.Rate < c.Least || c.Burst < 1 {
		faults = append(faults, fmt.Errorf("budget: least %d, rate %d and burst %d bytes must be "+
			"above 0, the rate not below the least", c.Least, c.Rate, c.Burst))
	}
	if c.Strain <= 100 || c.Floor <= 0 {
		faults = append(faults, fmt.Errorf("budget: a strain of %d %% must be above 100, a floor of "+
			"%v above 0", c.Strain, c.Floor))
	}
	return errors.Join(faults...)
}

// Bucket is the rule: a token bucket whose rate follows how long clients wait. It has no
// lock and reads no clock.
type Bucket struct {
	cfg   Config
	rate  int64 // Invariant: cfg.Least <= rate <= cfg.Rate (I2)
	moved int64 // granted since the last Look
	// level is how many bytes may be moved at once. Below 0: so many have been granted
	// ahead. Invariant: level <= cfg.Burst.
	level int64
	at    time.Time     // as of when level is; zero before the first Take
	usual time.Duration // how long clients wait, as a rule; 0: nobody knows yet
}

// NewBucket returns a bucket that is full. cfg must be valid.
func NewBucket(cfg Config) *Bucket { return &Bucket{cfg: cfg, rate: cfg.Rate, level: cfg.Burst} }

// Take grants bytes, and returns how long to wait before they may be moved (I1). What is
// granted is spent, whether it is moved or not.
func (b *Bucket) Take(now time.Time, bytes int) time.Duration {
	if !b.at.IsZero() && now.After(b.at) {
		b.fill(now.Sub(b.at))
	}
	if b.at.IsZero() || now.After(b.at) {
		b.at = now
	}
	wait := time.Duration(0)
	if b.level < 0 {
		wait = time.Duration(float64(-b.level) / float64(b.rate) * float64(time.Second))
	}
	b.level -= int64(max(0, bytes))
	b.moved += int64(max(0, bytes))
	return wait
}

// fill adds what has become free in a while.
func (b *Bucket) fill(d time.Duration) {
	more := d.Seconds() * float64(b.rate)
	if more >= float64(b.cfg.Burst-b.level) {
		b.level = b.cfg.Burst
		return
	}
	b.level += int64(more)
}

const (
	// Of what a look shows beyond the usual wait such a part is taken over: most of what is
	// shorter, little of what is longer while next to nothing is moved, so that an hour of many
	// clients does not leave much to those after it, and hardly anything while something is
	// moved. Looks are a second apart: minutes of background work do not make its own harm
	// look usual.
	shorter, longer, forget = 4, 64, 512
	// The rate grows by a quarter of itself at each look, and by a part of the full rate at
	// least: from the least of a default budget to its full rate in 15 looks.
	growth, leastGrowth = 4, 64
)

// Look takes note of how long clients waited since the look before, a second ago: the 99th
// percentile of their waits, 0 where there were none. Without clients the rate is the full
// one. Where they waited long, half of what was moved meanwhile may be moved until the next
// look. Otherwise it may be somewhat more than was: what has rested begins gently, since
// only clients can tell how much is too much (I4).
func (b *Bucket) Look(p99 time.Duration) {
	moved, resting := max(min(b.rate, b.moved), b.cfg.Least), b.moved < b.cfg.Least/4
	b.moved = 0
	switch {
	case p99 <= 0: // nobody is there to be in the way of
		b.rate = b.cfg.Rate
		return
	case b.usual == 0:
		b.usual = p99
	case p99 < b.usual:
		b.usual += (p99 - b.usual) / shorter
	case resting:
		b.usual += (p99-b.usual)/longer + 1
	default:
		b.usual += (p99-b.usual)/forget + 1
	}
	if long := max(b.cfg.Floor, b.usual*time.Duration(b.cfg.Strain)/100); p99 > long {
		b.rate = max(b.cfg.Least, moved/2)
		return
	}
	b.rate = min(b.cfg.Rate, moved+max(1, moved/growth, b.cfg.Rate/leastGrowth))
}

// Rate is how many bytes a second may be moved at present.
func (b *Bucket) Rate() int64 { return b.rate }
