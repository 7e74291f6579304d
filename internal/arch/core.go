// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

func checkCore(t *tree, p *pkg, report reporter) {
	if !p.room.Core {
		return
	}
	p.production(func(f *file) {
		if f.excepted() {
			return
		}
		for _, spec := range f.syntax.Imports {
			if why := coreRefuses(importPath(spec)); why != "" {
				report(f.path, t.line(spec.Pos()), "core imports %s: %s", importPath(spec), why)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if n == nil {
				return false
			}
			if what := impure(p, f, n); what != "" {
				report(f.path, t.line(n.Pos()), "core %s", what)
			}
			return true
		})
	})
}

func coreRefuses(imported string) string {
	if imported == "net/netip" { // values, no I/O
		return ""
	}
	for prefix, why := range coreForbidden() {
		if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
			if prefix == "math/rand" && imported == "math/rand/v2" {
				continue
			}
			return why
		}
	}
	return ""
}

// impure names what a node of the syntax does that a core may not, "" where nothing.
func impure(p *pkg, f *file, n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "starts a goroutine"
	case *ast.ChanType:
		return "has a channel type"
	case *ast.SendStmt:
		return "sends on a channel"
	case *ast.SelectStmt:
		return "selects on channels"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "receives from a channel"
		}
	case *ast.CallExpr:
		id, ok := n.Fun.(*ast.Ident)
		if !ok {
			return ""
		}
		if b, ok := p.info.Uses[id].(*types.Builtin); ok {
			if b.Name() == "print" || b.Name() == "println" {
				return "prints"
			}
		}
	case *ast.SelectorExpr:
		return impureCall(p, f, n)
	}
	return ""
}

func impureCall(p *pkg, f *file, sel *ast.SelectorExpr) string {
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	name := sel.Sel.Name
	switch p.packageOf(f, id) {
	case "time":
		clock := []string{
			"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker",
			"Timer", "Ticker", "Local", "LoadLocation",
		}
		if slices.Contains(clock, name) {
			return "uses time." + name + ": the time is an argument"
		}
	case "fmt":
		if strings.HasPrefix(name, "Print") || strings.HasPrefix(name, "Scan") {
			return "uses fmt." + name + ": it does no I/O"
		}
	}
	return ""
}

// seeded lists what math/rand/v2 offers without its global source.
func seeded(name string) bool {
	return slices.Contains([]string{
		"Rand", "Source", "New", "PCG", "NewPCG", "ChaCha8", "NewChaCha8", "Zipf", "NewZipf",
	}, name)
}

func checkRandom(t *tree, p *pkg, report reporter) {
	p.eachSelector(func(f *file, imported string, sel *ast.SelectorExpr) {
		if imported == "math/rand/v2" && !seeded(sel.Sel.Name) {
			report(f.path, t.line(sel.Pos()),
				"uses rand.%s of the global source: take a *rand.Rand", sel.Sel.Name)
		}
	})
}

// eachSelector calls visit for each pkg.Name of the files that are not tests.
func (p *pkg) eachSelector(visit func(f *file, imported string, sel *ast.SelectorExpr)) {
	p.production(func(f *file) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok {
				if imported := p.packageOf(f, id); imported != "" {
					visit(f, imported, sel)
				}
			}
			return true
		})
	})
}
