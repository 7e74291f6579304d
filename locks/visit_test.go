// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAVisitShowsWhatAnExportHas(t *testing.T) {
	d := busy(t)
	table, err := Import(d)
	if err != nil {
		t.Fatal(err)
	}
	visited := Data{Fence: table.Fence(), Ended: table.Ended()}
	table.Visit(
		func(s *Session) { visited.Sessions = append(visited.Sessions, *s) },
		func(l *Lock) {
			c := *l
			c.Holders, c.Queue = slices.Clone(l.Holders), slices.Clone(l.Queue)
			visited.Locks = append(visited.Locks, c)
		})
	if diff := cmp.Diff(d, visited, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
