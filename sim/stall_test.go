// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/meta"
)

// TestAProcessWhoseDiskStandsStillEnds, although nothing of it that writes can end before
// the disk goes on: whoever watches processes starts it anew, and others go on meanwhile.
func TestAProcessWhoseDiskStandsStillEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, groupedConfig(1, 3))
		h := c.Leader()
		const stall = 3 * time.Minute
		h.Disk.SetSyncTime(stall)
		defer time.Sleep(stall) // what is left of the process ends with the write
		cl := connect(t, c, "x")
		_, err := cl.Bucket("default").Put(limit(t), []byte("k"), []byte("v"))
		must(t, err) // on the others
		_, err = cl.NewSession(limit(t))
		must(t, err) // with another leader
		for range 60 {
			time.Sleep(time.Second)
			if err, ended := h.Ended(); ended {
				if !errors.Is(err, meta.ErrStalled) {
					t.Errorf("it ended with %v", err)
				}
				return
			}
		}
		t.Error("it has not ended")
	})
}
