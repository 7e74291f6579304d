// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"testing"
	"testing/synctest"
)

func TestAGroupGrowsFromOneVoterToThree(t *testing.T) {
	for members, voters := range map[int]int{1: 1, 2: 1, 3: 3, 5: 3} {
		synctest.Test(t, func(t *testing.T) {
			r := newEngineRig(t, 1, members, nil)
			r.awaitVoters(voters)
		})
	}
}
