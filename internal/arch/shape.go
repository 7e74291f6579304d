// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"go/ast"
	"path"
	"strings"
	"unicode/utf8"
)

const spdx = "// SPDX-License-Identifier: Apache-2.0\n\n"

func checkLicence(_ *tree, p *pkg, report reporter) {
	for _, f := range p.files {
		if !bytes.HasPrefix(f.source, []byte(spdx)) {
			report(f.path, 1, "begin with %q and a blank line", strings.TrimSpace(spdx))
		}
	}
}

func checkDoc(t *tree, p *pkg, report reporter) {
	comments, production := 0, 0
	p.production(func(f *file) {
		production++
		doc := f.syntax.Doc
		if doc == nil {
			return
		}
		comments++
		if path.Base(f.path) != "doc.go" {
			report(f.path, t.line(doc.Pos()), "package comment outside of doc.go")
			return
		}
		checkDocText(p, f, doc.Text(), report)
	})
	if production > 0 && comments == 0 {
		report(p.path, 0, "package has no comment: say in doc.go what it is and what it keeps to")
	}
}

func checkDocText(p *pkg, f *file, text string, report reporter) {
	begin := "Package " + p.name + " "
	if p.name == "main" {
		begin = "Command "
	}
	if !strings.HasPrefix(text, begin) {
		report(f.path, 1, "package comment does not begin with %q", begin)
	}
	room := p.room.Path == p.path && p.room.Row >= 0 && p.name != "main"
	if room && !strings.Contains(text, "I1 ") {
		report(f.path, 1, "package comment names no invariant (I1, I2, ...)")
	}
}

func checkSize(t *tree, p *pkg, report reporter) {
	for _, f := range p.files {
		lines := strings.Split(strings.TrimSuffix(string(f.source), "\n"), "\n")
		if len(lines) > maxFileLines {
			report(f.path, 0, "%d lines; the limit is %d: split it by concept", len(lines), maxFileLines)
		}
		if f.test {
			continue
		}
		for i, line := range lines {
			if n := utf8.RuneCountInString(line); n > maxColumns {
				report(f.path, i+1, "%d columns; the limit is %d", n, maxColumns)
			}
		}
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := t.line(fn.End()) - t.line(fn.Pos()) + 1; n > maxFunctionLines {
				report(f.path, t.line(fn.Pos()), "%s has %d lines; the limit is %d",
					fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
}
