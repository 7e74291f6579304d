// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

func checkTable(_ *tree, p *pkg, report reporter) {
	if !p.known {
		report(p.path, 0, "package has no room: add it to internal/arch/table.go and "+
			"record why in docs/adr")
	}
}

func checkImports(t *tree, p *pkg, report reporter) {
	if !p.known {
		return // rule "table" speaks of it
	}
	for _, f := range p.files {
		for _, spec := range f.syntax.Imports {
			target, ok := within(importPath(spec))
			if !ok {
				continue
			}
			if why := t.refuses(p, f, target); why != "" {
				report(f.path, t.line(spec.Pos()), "%s", why)
			}
		}
	}
}

// within returns the folder of an import path of this module.
func within(imported string) (string, bool) {
	if imported == Module {
		return ".", true
	}
	return strings.CutPrefix(imported, Module+"/")
}

// refuses says why a file may not import the package in folder target, "" where it may.
func (t *tree) refuses(p *pkg, f *file, target string) string {
	to, known := t.roomOf(target)
	if !known {
		return fmt.Sprintf("imports %s, which has no room in the table", target)
	}
	if f.test && (target == p.path || testRooms(target)) {
		return ""
	}
	if f.external && allowed(p.room.TestImports, target) {
		return ""
	}
	return refusesRoom(p, to, target)
}

func refusesRoom(p *pkg, to Room, target string) string {
	from := p.room
	switch {
	case from.Path == to.Path && from.Open: // folders of one open room
		return ""
	case to.Tool:
		return fmt.Sprintf("imports %s, a tool of the workshop: nobody imports it", target)
	case allowed(from.Imports, target):
		return ""
	case from.Row == side:
		return fmt.Sprintf("%s imports %s, which is not in its list (%s)",
			from.Path, target, strings.Join(from.Imports, ", "))
	case to.Row == side:
		return fmt.Sprintf("%s imports %s, which stands beside the rows", from.Path, target)
	case from.Core && !to.Core:
		return fmt.Sprintf("core %s imports %s, which is no core", from.Path, target)
	case to.Row < from.Row:
		return ""
	case path.Dir(from.Path) == to.Path: // a child may import its parent
		return ""
	case path.Dir(to.Path) == from.Path && to.Core: // and a parent a core child
		return ""
	case to.Row == from.Row:
		return fmt.Sprintf("%s imports %s of its own row %d: let node connect them through "+
			"an interface", from.Path, target, from.Row)
	}
	return fmt.Sprintf("%s of row %d imports %s of row %d: imports point down",
		from.Path, from.Row, target, to.Row)
}

// allowed reports whether a list of imports names target: as itself, by the folder
// above it ("jepsen/..."), or by "...", which is everything but main packages.
func allowed(list []string, target string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		prefix, below := strings.CutSuffix(entry, "...")
		if !below {
			return entry == target
		}
		return strings.HasPrefix(target, prefix) && !strings.HasPrefix(target, "cmd/")
	})
}

func checkLibraries(t *tree, p *pkg, report reporter) {
	p.production(func(f *file) {
		for _, spec := range f.syntax.Imports {
			imported := importPath(spec)
			line := t.line(spec.Pos())
			if owners, ok := ownersOf(imported); ok && !slices.Contains(owners, p.room.Path) {
				report(f.path, line, "imports %s, which belongs to %s", imported, orNobody(owners))
			}
			mayTest := strings.HasSuffix(p.name, "test") || slices.Contains(p.room.Libraries, imported)
			if isTestOnly(imported) && !mayTest {
				report(f.path, line, "imports %s outside of a test", imported)
			}
		}
	})
}

func ownersOf(imported string) ([]string, bool) {
	for prefix, owners := range confined() {
		if covers(prefix, imported) {
			return owners, true
		}
	}
	return nil, false
}

// covers reports whether prefix names the import path or a folder above it. The
// standard library's names are exact: "log" does not cover "log/slog".
func covers(prefix, imported string) bool {
	if strings.Contains(prefix, ".") {
		return strings.HasPrefix(imported, prefix)
	}
	return imported == prefix
}

func orNobody(owners []string) string {
	if len(owners) == 0 {
		return "nobody"
	}
	return strings.Join(owners, ", ")
}

func isTestOnly(imported string) bool {
	return slices.ContainsFunc(testOnly(), func(lib string) bool {
		return imported == lib || strings.HasPrefix(imported, lib+"/")
	})
}
