// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestMutantsHaveNamesAndNumbersOfTheirOwn(t *testing.T) {
	name, number := regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`), regexp.MustCompile(`^[MX]\d+[ab]?$`)
	seen := make(map[string]bool)
	for _, m := range All() {
		for _, word := range []string{string(m.Name), m.Number} {
			if seen[word] {
				t.Errorf("%s stands twice", word)
			}
			seen[word] = true
		}
		if !name.MatchString(string(m.Name)) || !number.MatchString(m.Number) {
			t.Errorf("%s, %s: not such a name and number", m.Name, m.Number)
		}
		if m.What == "" || m.KilledBy == "" {
			t.Errorf("%s: not told what it is, or what kills it", m.Name)
		}
		if found, ok := Find(m.Name); !ok || found != m {
			t.Errorf("%s is not found", m.Name)
		}
	}
	if _, found := Find("no-such-mutant"); found {
		t.Error("a mutant that does not exist is found")
	}
}

// TestEveryMutantStandsInTheProduct compares constants, list and code: a mutant that is
// listed and switched on nowhere would seem to be one that nothing kills.
func TestEveryMutantStandsInTheProduct(t *testing.T) {
	constants := constantsOf(t, "list.go")
	uses := usesBelow(t, "../..")
	for identifier, name := range constants {
		if _, listed := Find(name); !listed {
			t.Errorf("%s is not in All", identifier)
		}
		if uses[identifier] == 0 {
			t.Errorf("no file of the product asks for mutant.%s", identifier)
		}
	}
	if len(constants) != len(All()) {
		t.Errorf("%d constants, %d in All", len(constants), len(All()))
	}
}

// constantsOf returns the constants of type Name in a file.
func constantsOf(t *testing.T, file string) map[string]Name {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	constants := make(map[string]Name)
	ast.Inspect(syntax, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			constants[spec.Names[0].Name] = Name(text)
		}
		return true
	})
	return constants
}

// usesBelow counts the places that ask for each mutant, in code that is no test.
func usesBelow(t *testing.T, root string) map[string]int {
	t.Helper()
	asks := regexp.MustCompile(`mutant\.On\(mutant\.([A-Za-z0-9]+)\)`)
	uses := make(map[string]int)
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if base := path.Base(name); name != "." && (base[0] == '.' || base == "testdata") ||
				name == "internal/mutant" {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		for _, found := range asks.FindAllSubmatch(source, -1) {
			uses[string(found[1])]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return uses
}
