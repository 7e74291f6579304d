// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"runtime"
	"strconv"
	"strings"
)

// A Run says how one process is to be seeded.
type Run struct {
	Seed uint64
	// SeededOrder lets the seed also choose which runnable goroutine comes next. Without
	// it they run in the order in which they became runnable.
	SeededOrder bool
}

// Environ returns the variables of a process that was built with the overlay, to be
// appended to os.Environ().
func (r Run) Environ() []string {
	order := "fifo"
	if r.SeededOrder {
		order = "seeded"
	}
	return []string{
		"DYNO_SIM_SEED=" + strconv.FormatUint(r.Seed, 10),
		"DYNO_SIM_ORDER=" + order,
		"GOMAXPROCS=1",              // the edited runtime insists on it
		"GOGC=off",                  // a collection comes when memory says so
		"GOMEMLIMIT=off",            // and at this limit in spite of GOGC
		"GODEBUG=asyncpreemptoff=1", // no signal moves a goroutine
	}
}

// Running reports whether this process has the edited runtime, and the hash of the edits.
func Running() (edits string, ok bool) {
	_, edits, ok = strings.Cut(runtime.Version(), " dyno-sim/")
	return edits, ok
}
