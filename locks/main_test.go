// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"flag"
	"os"
	"testing"
)

// TestMain draws more often than rapid does by itself: a property here costs little. And
// it searches for a small failure for less long, which helps little with histories.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := make(map[string]bool)
	flag.Visit(func(f *flag.Flag) { asked[f.Name] = true })
	set := func(name, value string) {
		if asked[name] {
			return
		}
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	set("rapid.shrinktime", "5s")
	if !testing.Short() {
		set("rapid.checks", "3000")
	}
	os.Exit(m.Run())
}
