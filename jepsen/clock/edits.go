// SPDX-License-Identifier: Apache-2.0

package clock

import (
	_ "embed"

	"github.com/dyno-kv/dyno/sim/overlay"
)

//go:embed offset.go.txt
var added string

// set is what is changed in package time.
func set() overlay.Set {
	const asked = "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {\n\t\treturn Time{uint64(nsec)"
	return overlay.Set{
		File: "time/dynooffset.go", Text: added,
		Edits: []overlay.Edit{{
			File: "time/time.go", Times: 1, Anchor: asked,
			Replacement: "\tsec, nsec, mono := runtimeNow()\n\tsec, nsec = dynoShifted(sec, nsec)\n" +
				"\tif mono == 0 {\n\t\treturn Time{uint64(nsec)",
		}},
	}
}
