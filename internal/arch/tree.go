// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// tree is the parsed module.
type tree struct {
	fset  *token.FileSet
	rooms map[string]Room
	pkgs  []*pkg // in order of their paths
}

// pkg is one folder with Go files.
type pkg struct {
	path  string // from the root; "." for the root itself
	name  string // of the files that are not external tests; "" where there are none
	files []*file
	info  *types.Info // what identifiers mean, of all but external tests
	room  Room
	known bool // room is set
}

// file is one parsed Go file.
type file struct {
	path     string
	source   []byte
	syntax   *ast.File
	test     bool // its name ends in _test.go
	external bool // it belongs to package x_test
}

// load parses every Go file below the root of fsys. Folders named testdata, hidden
// ones, and nested modules are left out.
func load(fsys fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet(), rooms: make(map[string]Room)}
	for _, r := range Rooms() {
		t.rooms[r.Path] = r
	}
	byPath := make(map[string]*pkg)
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped(fsys, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := t.parse(fsys, name)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if byPath[dir] == nil {
			byPath[dir] = &pkg{path: dir}
		}
		byPath[dir].files = append(byPath[dir].files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("arch: read the tree: %w", err)
	}
	for _, p := range byPath {
		t.finish(p)
		t.pkgs = append(t.pkgs, p)
	}
	slices.SortFunc(t.pkgs, func(a, b *pkg) int { return strings.Compare(a.path, b.path) })
	return t, nil
}

func skipped(fsys fs.FS, dir string) bool {
	if dir == "." {
		return false
	}
	base := path.Base(dir)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func (t *tree) parse(fsys fs.FS, name string) (*file, error) {
	source, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	mode := parser.ParseComments | parser.SkipObjectResolution
	syntax, err := parser.ParseFile(t.fset, name, source, mode)
	if err != nil {
		return nil, err
	}
	f := &file{path: name, source: source, syntax: syntax}
	f.test = strings.HasSuffix(name, "_test.go")
	f.external = f.test && strings.HasSuffix(syntax.Name.Name, "_test")
	return f, nil
}

// finish finds the package's room and resolves its identifiers. The type checker sees
// empty packages in the place of all imports: it complains, and nobody listens, but it
// tells a package-level variable from a local one of the same name.
func (t *tree) finish(p *pkg) {
	p.room, p.known = t.roomOf(p.path)
	p.info = &types.Info{
		Uses:       make(map[*ast.Ident]types.Object),
		Defs:       make(map[*ast.Ident]types.Object),
		Selections: make(map[*ast.SelectorExpr]*types.Selection),
		Types:      make(map[ast.Expr]types.TypeAndValue),
	}
	var own []*ast.File
	for _, f := range p.files {
		if f.external {
			continue
		}
		own = append(own, f.syntax)
		if !f.test || p.name == "" {
			p.name = f.syntax.Name.Name
		}
	}
	conf := types.Config{Importer: emptyImporter{}, Error: func(error) {}}
	_, _ = conf.Check(p.path, t.fset, own, p.info)
}

// roomOf returns the room of a folder: its own line in the table, or the nearest one
// above that is open to children.
func (t *tree) roomOf(dir string) (Room, bool) {
	if r, ok := t.rooms[dir]; ok {
		return r, true
	}
	for dir != "." && dir != "/" {
		dir = path.Dir(dir)
		if r, ok := t.rooms[dir]; ok && r.Open {
			return r, true
		}
	}
	return Room{}, false
}

func (t *tree) line(pos token.Pos) int { return t.fset.Position(pos).Line }

// production calls visit for each file that is not a test.
func (p *pkg) production(visit func(*file)) {
	for _, f := range p.files {
		if !f.test {
			visit(f)
		}
	}
}

// packageOf returns the import path that an identifier stands for, "" where it is no
// package.
func (p *pkg) packageOf(f *file, id *ast.Ident) string {
	if obj, ok := p.info.Uses[id]; ok {
		if name, ok := obj.(*types.PkgName); ok {
			return name.Imported().Path()
		}
		return ""
	}
	for _, spec := range f.syntax.Imports { // the checker gave up before it came here
		imported := importPath(spec)
		name := guessName(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == id.Name {
			return imported
		}
	}
	return ""
}

func importPath(spec *ast.ImportSpec) string {
	unquoted, err := strconv.Unquote(spec.Path.Value)
	if err != nil { // the parser has checked it
		return spec.Path.Value
	}
	return unquoted
}

// guessName guesses the name of a package from its import path.
func guessName(imported string) string {
	base := path.Base(imported)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(imported))
	}
	return base
}

// emptyImporter answers every import with a package that has nothing in it.
type emptyImporter struct{}

func (emptyImporter) Import(imported string) (*types.Package, error) {
	if imported == "" {
		return nil, errors.New("arch: empty import path")
	}
	p := types.NewPackage(imported, guessName(imported))
	p.MarkComplete()
	return p, nil
}
