// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A change of a line that a mutant names goes with its mutant: the runs that would tell come
// seldom, and a list with one fault is refused as a whole.
func TestTheMutantsOfTheTreeApply(t *testing.T) {
	root := filepath.Join("..", "..")
	lists := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.Name() != "mutants.txt" || filepath.Base(filepath.Dir(name)) != "testdata":
			return nil
		}
		pkg, err := filepath.Rel(root, filepath.Dir(filepath.Dir(name)))
		if err != nil {
			return err
		}
		lists++
		all, err := readList(root, filepath.ToSlash(pkg))
		if err != nil {
			t.Error(err)
		}
		for _, m := range all {
			source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
			if err != nil {
				t.Errorf("%s: %v", m.name, err)
				continue
			}
			if _, err := m.apply(string(source)); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if lists < 14 {
		t.Errorf("only %d lists were found", lists)
	}
}
