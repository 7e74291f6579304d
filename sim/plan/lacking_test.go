// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestWhatIsLeftOutDoesNotExist turns red when the product gains what plans leave out.
func TestWhatIsLeftOutDoesNotExist(t *testing.T) {
	for _, l := range Lacking() {
		_, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(l.Room)))
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: draw what it can do, and take it from this list (%s)", l.Room, l.Out)
		}
		if l.Out == "" {
			t.Errorf("%s: nothing is said to be left out", l.Room)
		}
	}
	if _, err := os.Stat(filepath.Join("..", "..", "replica")); err != nil {
		t.Errorf("this test looks in the wrong place: %v", err)
	}
}
