// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test's own binary stand for the program that runs plans: see
// child_test.go for what it does then.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[0] == binaryName && os.Args[1] == "child" {
		os.Exit(pretend(os.Args[2], os.Args[3]))
	}
	if len(os.Args) == 4 && os.Args[0] == binaryName && os.Args[1] == "parent" {
		os.Exit(parent())
	}
	goleak.VerifyTestMain(m)
}
