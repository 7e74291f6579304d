// SPDX-License-Identifier: Apache-2.0

package draws

import (
	"flag"
	"strconv"
	"testing"
	"time"
)

// Run runs the tests and returns the process's exit code. Each property is tried checks
// times, but with -short as often as rapid likes. A failure is made smaller for shrink; 0: as
// long as rapid likes. Other flags of the package must be defined before.
func Run(m *testing.M, checks int, shrink time.Duration) (code int) {
	flag.Parse()
	asked := make(map[string]bool)
	flag.Visit(func(f *flag.Flag) { asked[f.Name] = true })
	set := func(name, value string) {
		if asked[name] {
			return
		}
		if err := flag.Set(name, value); err != nil {
			panic(err) // the package draws nothing, or rapid has another flag now
		}
	}
	if !testing.Short() {
		set("rapid.checks", strconv.Itoa(checks))
	}
	if shrink > 0 {
		set("rapid.shrinktime", shrink.String())
	}
	return m.Run()
}
