// SPDX-License-Identifier: Apache-2.0

package fleet

// ddmin is delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
// Failure-Inducing Input", TSE 2002) over the numbers 0 to n-1: it returns a subset for
// which the test still fails and, unless the budget ended first, of which no single number
// can be left out.
//
// firstFailing is asked with several subsets, in the order of preference, and returns the
// place of the first for which the test fails, -1 where there is none. It may look at them
// at the same time.
func ddmin(n int, firstFailing func(subsets [][]int) (int, error)) ([]int, error) {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	if i, err := firstFailing([][]int{{}}); i == 0 || err != nil {
		return all[:0:0], err // it fails without any
	}
	for pieces := 2; len(all) >= 2; {
		pieces = min(pieces, len(all))
		parts := split(all, pieces)
		tries := parts
		if pieces > 2 { // of two, each is the other's complement
			tries = append(tries, complements(all, parts)...)
		}
		i, err := firstFailing(tries)
		switch {
		case err != nil:
			return all, err
		case i >= len(parts):
			all, pieces = tries[i], pieces-1
		case i >= 0:
			all, pieces = tries[i], 2
		case pieces == len(all):
			return all, nil
		default:
			pieces *= 2
		}
	}
	return all, nil
}

// split cuts list into pieces whose lengths differ by one at most.
func split(list []int, pieces int) [][]int {
	var parts [][]int
	for i := range pieces {
		parts = append(parts, list[i*len(list)/pieces:(i+1)*len(list)/pieces])
	}
	return parts
}

func complements(list []int, parts [][]int) [][]int {
	var out [][]int
	at := 0
	for _, part := range parts {
		rest := append([]int{}, list[:at]...)
		at += len(part)
		out = append(out, append(rest, list[at:]...))
	}
	return out
}
