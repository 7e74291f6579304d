// SPDX-License-Identifier: Apache-2.0

package state

import (
	"flag"
	"os"
	"testing"

	"github.com/dyno-kv/dyno/internal/draws"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite testdata/*.golden from the code")
	os.Exit(draws.Run(m, 500, 0))
}
