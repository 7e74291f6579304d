// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheTablesNameTestsThatThereAre: docs/simulator.md says which test shows which fault.
func TestTheTablesNameTestsThatThereAre(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "simulator.md"))
	must(t, err)
	names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	if len(names) < 20 {
		t.Fatalf("%d tests are named", len(names))
	}
	there := testsBelow(t, "..")
	for _, name := range names {
		if !there[name[1]] {
			t.Errorf("there is no %s", name[1])
		}
	}
	for _, one := range ofRefills() {
		if !strings.Contains(strings.ReplaceAll(string(text), "\n", " "), one.name) {
			t.Errorf("the schedule %q is not told", one.name)
		}
	}
}

// testsBelow are the names of all tests of a tree.
func testsBelow(t *testing.T, root string) map[string]bool {
	t.Helper()
	is := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
	there := make(map[string]bool)
	tree := os.DirFS(root)
	must(t, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (base[0] == '.' || base == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		for _, found := range is.FindAllSubmatch(source, -1) {
			there[string(found[1])] = true
		}
		return err
	}))
	return there
}
