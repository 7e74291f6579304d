// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"go/ast"
	"slices"
	"strings"
)

func checkInit(t *tree, p *pkg, report reporter) {
	for _, f := range p.files {
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if ok && fn.Recv == nil && fn.Name.Name == "init" {
				report(f.path, t.line(fn.Pos()),
					"func init: do it in a constructor, where it is asked for")
			}
		}
	}
}

func checkLogging(t *tree, p *pkg, report reporter) {
	p.eachSelector(func(f *file, imported string, sel *ast.SelectorExpr) {
		global := []string{"L", "S", "ReplaceGlobals", "RedirectStdLog"}
		if imported == "go.uber.org/zap" && slices.Contains(global, sel.Sel.Name) {
			report(f.path, t.line(sel.Pos()), "uses zap.%s: the logger is an argument", sel.Sel.Name)
		}
	})
	p.production(func(f *file) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if ok && sel.Sel.Name == "Sugar" && len(call.Args) == 0 {
				report(f.path, t.line(sel.Sel.Pos()), "uses a sugared logger: fields are typed")
			}
			return true
		})
	})
}

func checkExits(t *tree, p *pkg, report reporter) {
	if p.name == "main" {
		return
	}
	p.eachSelector(func(f *file, imported string, sel *ast.SelectorExpr) {
		if imported == "os" && sel.Sel.Name == "Exit" {
			report(f.path, t.line(sel.Pos()),
				"calls os.Exit: report the failure to node, which ends the process")
		}
	})
}

func checkSockets(t *tree, p *pkg, report reporter) {
	free := p.known && (p.room.Row >= 8 || p.room.Row == side)
	if free {
		return
	}
	p.eachSelector(func(f *file, imported string, sel *ast.SelectorExpr) {
		name := sel.Sel.Name
		opens := strings.HasPrefix(name, "Dial") || strings.HasPrefix(name, "Listen")
		if (imported == "net" || imported == "crypto/tls") && opens && name != "Listener" {
			report(f.path, t.line(sel.Pos()), "uses %s.%s: take a dialer or a listener from node",
				id(sel), name)
		}
	})
}

func id(sel *ast.SelectorExpr) string {
	if x, ok := sel.X.(*ast.Ident); ok {
		return x.Name
	}
	return "?"
}

// checkGoleak: who starts goroutines, itself or through an errgroup, looks for leaked
// ones in TestMain. Commands are tested as processes.
func checkGoleak(t *tree, p *pkg, report reporter) {
	if p.name == "main" || p.room.Core || strings.HasPrefix(p.path, "bench") {
		return
	}
	starts, checks := "", false
	for _, f := range p.files {
		if f.test {
			checks = checks || bytes.Contains(f.source, []byte("goleak.VerifyTestMain("))
		} else if starts == "" && startsGoroutines(f) {
			starts = f.path
		}
	}
	if starts != "" && !checks {
		report(p.path, 0, "%s starts goroutines, but no TestMain calls goleak.VerifyTestMain", starts)
	}
}

func startsGoroutines(f *file) bool {
	found := false
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = true
		case *ast.ImportSpec:
			found = found || importPath(n) == "golang.org/x/sync/errgroup"
		}
		return !found
	})
	return found
}
