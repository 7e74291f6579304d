// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package sandbox

// Enter does nothing: there are no namespaces here.
func Enter() (Status, error) {
	return Status{Lacks: "this system has no namespaces; what is killed may leave processes"}, nil
}
