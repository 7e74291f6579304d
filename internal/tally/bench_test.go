// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"testing"
	"time"
)

// What a request costs more since it is counted.
func BenchmarkObserve(b *testing.B) {
	var d Doubling
	for i := range b.N {
		d.ObserveTime(time.Duration(i) * time.Microsecond)
	}
	if d.Count() != uint64(b.N) {
		b.Error("some were lost")
	}
}
