// SPDX-License-Identifier: Apache-2.0

package arch

import "bytes"

// exceptions lists files in which rules "core" and "globals" do not look, with the build
// tag without which they do not exist.
func exceptions() map[string]string {
	return map[string]string{
		// Which bug is on must be known to cores, into which nothing could hand it; a
		// product build has no such file (docs/adr/0014).
		"internal/mutant/enabled.go": "mutant",
	}
}

// excepted reports that rules "core" and "globals" do not look into the file: it is
// listed, and compiled under its build tag only.
func (f *file) excepted() bool {
	tag, listed := exceptions()[f.path]
	return listed && bytes.Contains(f.source, []byte("\n//go:build "+tag+"\n"))
}
