// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"flag"
	"os"
	"testing"
)

// TestMain draws more often than rapid does by itself: a property here costs little.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if checks := flag.Lookup("rapid.checks"); !asked && !testing.Short() {
		if err := checks.Value.Set("500"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
