// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// checkGlobals lets these package-level variables pass, and no others:
//
//   - an assertion, var _ Interface = value;
//   - an error sentinel, ErrX or errX, made by errors.New, fmt.Errorf or a function of
//     the package that returns an error;
//   - a table, unexported and written as a composite literal (or as []byte("..."), a
//     checksum table, a compiled pattern);
//   - an embedded file;
//   - version, commit and date of a main package, which the linker sets;
//   - those of the files of excepted().
//
// None of them may be assigned, changed in place, or have its address taken anywhere
// in the package, tests included.
func checkGlobals(t *tree, p *pkg, report reporter) {
	kept := make(map[types.Object]bool)
	p.production(func(f *file) {
		if f.excepted() {
			return
		}
		for _, decl := range f.syntax.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				checkVar(t, p, f, gen, spec.(*ast.ValueSpec), kept, report)
			}
		}
	})
	for _, f := range p.files {
		if !f.external {
			checkWrites(t, p, f, kept, report)
		}
	}
}

func checkVar(
	t *tree, p *pkg, f *file, gen *ast.GenDecl, spec *ast.ValueSpec,
	kept map[types.Object]bool, report reporter,
) {
	for i, name := range spec.Names {
		var value ast.Expr
		if i < len(spec.Values) {
			value = spec.Values[i]
		}
		ok := false
		switch {
		case name.Name == "_":
			ok = spec.Type != nil
		case embedded(gen.Doc) || embedded(spec.Doc):
			ok = true
		case p.name == "main" && slices.Contains([]string{"version", "commit", "date"}, name.Name):
			ok = true
		case strings.HasPrefix(name.Name, "Err") || strings.HasPrefix(name.Name, "err"):
			ok = isSentinel(p, f, value)
		case !name.IsExported():
			ok = isTable(p, f, value)
		}
		if !ok {
			report(f.path, t.line(name.Pos()),
				"package-level variable %s: only assertions, error sentinels and unexported "+
					"constant tables may live there", name.Name)
		}
		if obj := p.info.Defs[name]; obj != nil {
			kept[obj] = true
		}
	}
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}

func isSentinel(p *pkg, f *file, value ast.Expr) bool {
	if callsOneOf(p, f, value, "errors.New", "fmt.Errorf") {
		return true
	}
	_, call := value.(*ast.CallExpr)
	return call && types.Identical(p.info.TypeOf(value), types.Universe.Lookup("error").Type())
}

// isTable reports whether a value is written out and can be shared.
func isTable(p *pkg, f *file, value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.CompositeLit:
		sel, ok := v.Type.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		return ok && !strings.HasPrefix(p.packageOf(f, x), "sync")
	case *ast.CallExpr:
		if array, ok := v.Fun.(*ast.ArrayType); ok && len(v.Args) == 1 {
			_, literal := v.Args[0].(*ast.BasicLit)
			return array.Len == nil && literal
		}
	}
	return callsOneOf(p, f, value, "hash/crc32.MakeTable", "hash/crc64.MakeTable",
		"regexp.MustCompile", "strings.NewReplacer", "html/template.Must")
}

func callsOneOf(p *pkg, f *file, value ast.Expr, functions ...string) bool {
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && slices.Contains(functions, p.packageOf(f, x)+"."+sel.Sel.Name)
}
