// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// checkWrites reports what changes a package-level variable after its declaration.
func checkWrites(t *tree, p *pkg, f *file, kept map[types.Object]bool, report reporter) {
	w := writes{tree: t, pkg: p, file: f, kept: kept, report: report}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				w.written(left, "assigned")
				w.foreign(left)
			}
		case *ast.IncDecStmt:
			w.written(n.X, "assigned")
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				w.written(n.Key, "assigned")
				w.written(n.Value, "assigned")
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				w.written(n.X, "taken by address")
			}
		case *ast.SelectorExpr:
			w.pointerMethod(n)
		case *ast.CallExpr:
			w.changingCall(n)
		}
		return true
	})
}

// writes looks for changes in one file.
type writes struct {
	tree   *tree
	pkg    *pkg
	file   *file
	kept   map[types.Object]bool
	report reporter
}

// written reports an expression that changes a part of a package-level variable.
func (w writes) written(e ast.Expr, how string) {
	root := rootOf(e)
	if root == nil || !w.kept[w.pkg.info.Uses[root]] {
		return
	}
	w.report(w.file.path, w.tree.line(e.Pos()), "package-level variable %s is %s", root.Name, how)
}

// foreign reports an assignment to a variable of another package. Tests are not
// looked at: rule "globals" has nothing to keep there.
func (w writes) foreign(e ast.Expr) {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || w.file.test {
		return
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return
	}
	if imported := w.pkg.packageOf(w.file, x); imported != "" {
		w.report(w.file.path, w.tree.line(e.Pos()), "assigns to %s.%s, a variable of another package",
			x.Name, sel.Sel.Name)
	}
}

// pointerMethod reports a method with a pointer receiver that is called on a variable.
func (w writes) pointerMethod(sel *ast.SelectorExpr) {
	chosen, ok := w.pkg.info.Selections[sel]
	if !ok || chosen.Kind() != types.MethodVal {
		return
	}
	sig, ok := chosen.Obj().Type().(*types.Signature)
	if !ok || sig.Recv() == nil {
		return
	}
	_, byPointer := sig.Recv().Type().(*types.Pointer)
	if _, already := chosen.Recv().(*types.Pointer); byPointer && !already {
		w.written(sel.X, "taken by address")
	}
}

// changingCall reports a call that changes its first argument in place.
func (w writes) changingCall(call *ast.CallExpr) {
	if len(call.Args) == 0 {
		return
	}
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		b, ok := w.pkg.info.Uses[fn].(*types.Builtin)
		if ok && slices.Contains([]string{"delete", "clear", "copy"}, b.Name()) {
			w.written(call.Args[0], "changed by "+b.Name())
		}
	case *ast.SelectorExpr:
		x, ok := fn.X.(*ast.Ident)
		if !ok {
			return
		}
		imported := w.pkg.packageOf(w.file, x)
		sorts := imported == "sort" && fn.Sel.Name != "Search" ||
			imported == "slices" && (strings.HasPrefix(fn.Sel.Name, "Sort") || fn.Sel.Name == "Reverse")
		if sorts {
			w.written(call.Args[0], "changed by "+imported+"."+fn.Sel.Name)
		}
	}
}

// rootOf returns the variable that an expression is a part of.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.ParenExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return nil
		}
	}
}
