// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"fmt"
	"strings"
)

// An Edit replaces a piece of one file of the toolchain.
type Edit struct {
	// File is relative to the toolchain's src folder, with slashes.
	File string
	// Anchor is the text that is replaced, byte for byte.
	Anchor string
	// Times says how often the anchor must stand in the file; every place is replaced.
	Times int
	// Replacement takes the anchor's place.
	Replacement string
}

// MismatchError says that a toolchain is not the one that an edit was written for.
type MismatchError struct {
	Version string
	File    string
	Anchor  string
	Want    int
	Found   int
}

// Error names everything that is needed to look at the file and write the edit anew.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s of toolchain %s: an anchor stands there %d times, want %d; "+
		"read the file and write the edit anew (sim/overlay/edits.go); the anchor is %q",
		e.File, e.Version, e.Found, e.Want, e.Anchor)
}

// apply edits one file's text. An anchor is counted in the text as it came and again
// before it is replaced: an edit that makes or breaks the anchor of another one would
// otherwise depend on their order without anybody noticing.
func apply(version, text string, edits []Edit) (string, error) {
	edited := text
	for _, e := range edits {
		for _, t := range []string{text, edited} {
			if n := strings.Count(t, e.Anchor); n != e.Times || n == 0 {
				return "", &MismatchError{
					Version: version, File: e.File, Anchor: e.Anchor, Want: e.Times, Found: n,
				}
			}
		}
		edited = strings.ReplaceAll(edited, e.Anchor, e.Replacement)
	}
	return edited, nil
}
