// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"path/filepath"
	"testing"

	"github.com/dyno-kv/dyno/jepsen/disk"
)

// TestFaultsAreSetWhileThePowerGoes: whoever sets faults does not know of other faults. The
// race detector looks on.
func TestFaultsAreSetWhileThePowerGoes(t *testing.T) {
	d := mount(t, disk.Config{})
	put(t, filepath.Join(d.Dir(), "f"), []byte("x"), true)
	over, done := make(chan struct{}), make(chan int)
	go func() {
		set := 0
		defer func() { done <- set }()
		for ; ; set++ {
			select {
			case <-over:
				return
			default:
				d.Set(disk.Faults{FailReadAfter: 1 << 20})
				_ = d.Counts()
			}
		}
	}()
	for range 5 {
		loss(t, d, false)
		has(t, filepath.Join(d.Dir(), "f"), []byte("x"))
	}
	close(over)
	if set := <-done; set == 0 {
		t.Error("no faults were set meanwhile")
	}
}
