// SPDX-License-Identifier: Apache-2.0

//go:build long

package locks

import "testing"

func TestEveryStateOfThreeSessionsWithTwoNumbersEach(t *testing.T) {
	walk(t, world{sessions: 3, numbers: 2, names: "a", kinds: []Kind{KindExclusive}, fresh: true})
}

func TestEveryStateOfFourSessionsAtOneLock(t *testing.T) {
	walk(t, world{
		sessions: 4, numbers: 1, names: "a", kinds: []Kind{KindExclusive, KindShared}, fresh: true,
	})
}

func TestEveryStateOfTwoSessionsWithThreeNumbersEach(t *testing.T) {
	walk(t, world{sessions: 2, numbers: 3, names: "a", kinds: []Kind{KindExclusive}, fresh: true})
}
