// SPDX-License-Identifier: Apache-2.0

package meta

import "github.com/dyno-kv/dyno/meta/seats"

// formable says that the first ring is due: as many members as the cluster expects have
// shown stores that were accepted, and the seats that such a cluster has are filled.
func formable(expect, opened, voters int) bool {
	return expect > 0 && opened >= expect && voters >= seats.Wanted(expect)
}
