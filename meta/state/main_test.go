// SPDX-License-Identifier: Apache-2.0

package state

import (
	"flag"
	"os"
	"testing"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// TestMain draws more often than rapid does by itself.
func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite testdata/*.golden from the code")
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
