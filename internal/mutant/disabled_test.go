// SPDX-License-Identifier: Apache-2.0

//go:build !mutant

package mutant

import "testing"

// TestNoMutantIsEverOnInAPlainBuild: whatever the environment says.
func TestNoMutantIsEverOnInAPlainBuild(t *testing.T) {
	for _, m := range All() {
		t.Setenv(Environment, string(m.Name))
		if Enabled || On(m.Name) {
			t.Errorf("%s is on", m.Name)
		}
	}
}
