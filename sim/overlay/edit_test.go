// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"strings"
	"testing"
)

func TestApplyReplacesEveryPlaceOfAnAnchor(t *testing.T) {
	got, err := apply("go1.26.8", "a b a c", []Edit{
		{File: "f", Anchor: "a", Times: 2, Replacement: "x"},
		{File: "f", Anchor: "b", Times: 1, Replacement: "yy"},
	})
	if err != nil || got != "x yy x c" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestApplyRefusesATextThatIsNotTheOneTheEditWasWrittenFor(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		edits []Edit
		found int
	}{
		"anchor missing": {"b", []Edit{{File: "f", Anchor: "a", Times: 1, Replacement: "x"}}, 0},
		"anchor twice":   {"a a", []Edit{{File: "f", Anchor: "a", Times: 1, Replacement: "x"}}, 2},
		"anchor once, twice wanted": {
			"a", []Edit{{File: "f", Anchor: "a", Times: 2, Replacement: "x"}}, 1,
		},
		"no count given": {"b", []Edit{{File: "f", Anchor: "a", Replacement: "x"}}, 0},
		"anchor broken by an edit before": {"ab", []Edit{
			{File: "f", Anchor: "a", Times: 1, Replacement: "x"},
			{File: "f", Anchor: "ab", Times: 1, Replacement: "y"},
		}, 0},
		"anchor made by an edit before": {"a", []Edit{
			{File: "f", Anchor: "a", Times: 1, Replacement: "b"},
			{File: "f", Anchor: "b", Times: 1, Replacement: "c"},
		}, 0},
		"anchor doubled by an edit before": {"ab", []Edit{
			{File: "f", Anchor: "a", Times: 1, Replacement: "b"},
			{File: "f", Anchor: "b", Times: 1, Replacement: "c"},
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := apply("go1.99", c.text, c.edits)
			var mismatch *MismatchError
			if !errors.As(err, &mismatch) {
				t.Fatalf("got %q, %v; want a MismatchError", got, err)
			}
			last := c.edits[len(c.edits)-1]
			if mismatch.Found != c.found || mismatch.Anchor != last.Anchor {
				t.Errorf("got %+v, want %d of %q", mismatch, c.found, last.Anchor)
			}
			for _, part := range []string{"go1.99", "f of", `"` + last.Anchor + `"`} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

func TestEveryEditChangesItsFile(t *testing.T) {
	for _, e := range Edits() {
		if e.Anchor == e.Replacement || e.Times < 1 || e.File == "" {
			t.Errorf("%+v changes nothing", e)
		}
	}
}
