// SPDX-License-Identifier: Apache-2.0

package mutant

// Environment is the variable that names the mutant which is on from the start.
const Environment = "DYNO_MUTANT"

// Name names a mutant.
type Name string

// Info is what is known of a mutant.
type Info struct {
	Name Name
	// Number is short: M and the number of a classic bug of such stores, X and a number
	// for those of this design.
	Number string
	// What the product does wrong while it is on.
	What string
	// KilledBy is what should see it.
	KilledBy string
}

// Find returns the mutant of a name.
func Find(name Name) (Info, bool) {
	for _, m := range All() {
		if m.Name == name {
			return m, true
		}
	}
	return Info{}, false
}
