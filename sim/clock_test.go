// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClockGoesItsOwnWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(time.Hour, 100) // 100 ppm: 8.64 s a day
		expect := func(want time.Duration) {
			t.Helper()
			if got := c.Offset(); got != want {
				t.Errorf("offset %v, want %v", got, want)
			}
			if got := c.Now().Sub(time.Now().Round(0)); got != want {
				t.Errorf("the clock shows %v more, want %v", got, want)
			}
		}
		expect(time.Hour)
		time.Sleep(24 * time.Hour)
		expect(time.Hour + 8640*time.Millisecond)
		c.Step(-2 * time.Hour)
		expect(-time.Hour + 8640*time.Millisecond)
		c.SetDrift(-1_000_000)
		stands := c.Now()
		time.Sleep(time.Minute)
		if got := c.Now(); !got.Equal(stands) {
			t.Errorf("a clock that stands went on by %v", got.Sub(stands))
		}
		c.SetDrift(5_000_000) // no more than twice as fast
		time.Sleep(1500 * time.Millisecond)
		if got := c.Now().Sub(stands); got != 3*time.Second {
			t.Errorf("the fast clock went on by %v, want 3s", got)
		}
	})
}

// TestClockHasNoMonotonicPart: a step back must be seen by whoever subtracts.
func TestClockHasNoMonotonicPart(t *testing.T) {
	c := NewClock(0, 0)
	before := c.Now()
	c.Step(-time.Minute)
	if got := c.Now().Sub(before); got > -59*time.Second {
		t.Errorf("a step back by a minute shows as %v", got)
	}
}
