// SPDX-License-Identifier: Apache-2.0

//go:build !mutant

package mutant

// Enabled says whether there are mutants in this build. It is a constant.
const Enabled = false

// On reports whether a mutant is on: never, in this build.
func On(Name) bool { return false }

// Active is the mutant that is on: none, in this build.
func Active() Name { return "" }
