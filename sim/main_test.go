// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// several is how many seeds a test runs: under -short, which the race detector's lane is, half.
func several(seeds uint64) uint64 {
	if testing.Short() {
		return (seeds + 1) / 2
	}
	return seeds
}
