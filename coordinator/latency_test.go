// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"time"
)

func TestTryTimeFollowsTheSlowestInAThousand(t *testing.T) {
	cases := []struct {
		name string
		feed func(*latency)
		want time.Duration
	}{
		{"unknown peer gets a quarter of the ceiling", func(*latency) {}, tryCeiling / 4},
		{"fast peer gets the floor", func(l *latency) {
			for range 2000 {
				l.observe(300 * time.Microsecond)
			}
		}, tryFloor},
		{"one outlier in two thousand does not count", func(l *latency) {
			for range 2000 {
				l.observe(300 * time.Microsecond)
			}
			l.observe(3 * time.Second)
		}, tryFloor},
		{"one in a hundred does", func(l *latency) {
			for i := range 2000 {
				if i%100 == 0 {
					l.observe(100 * time.Millisecond)
				} else {
					l.observe(300 * time.Microsecond)
				}
			}
		}, 262144 * time.Microsecond},
		{"a peer that never answers in time gets the ceiling", func(l *latency) {
			for range 2000 {
				l.observe(time.Minute)
			}
		}, tryCeiling},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var l latency
			c.feed(&l)
			if got := l.try(tryFloor); got != c.want {
				t.Errorf("try() = %v, want %v", got, c.want)
			}
		})
	}
}

func TestOldLatenciesAreForgotten(t *testing.T) {
	var l latency
	for range latencyWindow {
		l.observe(500 * time.Millisecond)
	}
	slow := l.try(tryFloor)
	for range 20 * latencyWindow {
		l.observe(time.Millisecond)
	}
	if got := l.try(tryFloor); got >= slow {
		t.Errorf("after many fast answers the try time is %v, was %v", got, slow)
	}
}
