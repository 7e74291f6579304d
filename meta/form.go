// SPDX-License-Identifier: Apache-2.0

package meta

// wantedVoters is how many seats of a cluster of so many members vote (ARCHITECTURE 8).
func wantedVoters(members int) int {
	if members <= 2 {
		return 1
	}
	return 3
}

// formable says that the first ring is due: as many members as the cluster expects have
// shown stores that were accepted, and the seats that such a cluster has are filled.
func formable(expect, opened, voters int) bool {
	return expect > 0 && opened >= expect && voters >= wantedVoters(expect)
}
