// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDocumentsHoldTheTableOfRooms: ARCHITECTURE.md, section 2, and the table in code
// name the same rooms in the same rows.
func TestDocumentsHoldTheTableOfRooms(t *testing.T) {
	written := make(map[string]string)
	for _, line := range tableLines(section(t, read(t, "ARCHITECTURE.md"), "## 2.")) {
		for _, room := range regexp.MustCompile("`([a-z/-]+)`").FindAllStringSubmatch(line[1], -1) {
			written[room[1]] = strings.TrimSpace(line[0])
		}
	}
	for _, r := range Rooms() {
		want := "side"
		switch {
		case r.Tool:
			want = "workshop"
		case r.Row != side:
			want = strconv.Itoa(r.Row)
		}
		name := r.Path
		if strings.HasPrefix(name, "jepsen/") || strings.HasPrefix(name, "bench/") {
			name = path.Dir(name) // told with their parents
		}
		if got := written[name]; got != want {
			t.Errorf("room %s is in row %q of ARCHITECTURE.md, and in row %q of the code", r.Path, got, want)
		}
	}
	for _, r := range Rooms() {
		delete(written, r.Path)
	}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		t.Errorf("room %s stands in ARCHITECTURE.md and not in the code", name)
	}
}

// TestDocumentsLinkToFilesThatExist looks at every relative link of every document.
func TestDocumentsLinkToFilesThatExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):#]+)(#[^)]*)?\)`)
	eachDocument(t, func(name, text string) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target := path.Join(path.Dir(name), found[1])
			if _, err := os.Stat("../../" + target); err != nil {
				t.Errorf("%s links to %s, which is not there", name, target)
			}
		}
	})
}

// TestFilesToReadFirstExist: the list at the head of ARCHITECTURE.md.
func TestFilesToReadFirstExist(t *testing.T) {
	head, _, _ := strings.Cut(read(t, "ARCHITECTURE.md"), "\n## 1.")
	files := regexp.MustCompile("`([a-z]+/[a-z_]+\\.go)`").FindAllStringSubmatch(head, -1)
	if len(files) < 6 {
		t.Errorf("%d files to read first, want six", len(files))
	}
	for _, f := range files {
		if _, err := os.Stat("../../" + f[1]); err != nil {
			t.Errorf("ARCHITECTURE.md sends its reader to %s, which is not there", f[1])
		}
	}
}

// TestCitedTrapsExist: where code cites "TRAPS C1", docs/traps.md has an entry C1.
func TestCitedTrapsExist(t *testing.T) {
	traps := read(t, "docs/traps.md")
	known := make(map[string]bool)
	entry := regexp.MustCompile(`(?m)^(?:\| |- \*\*)([A-Z])(\d+)(?:–[A-Z](\d+))?(?: \||\*\*)`)
	for _, e := range entry.FindAllStringSubmatch(traps, -1) {
		first, _ := strconv.Atoi(e[2]) // the pattern has digits only
		last := first
		if e[3] != "" {
			last, _ = strconv.Atoi(e[3])
		}
		for n := first; n <= last; n++ {
			known[e[1]+strconv.Itoa(n)] = true
		}
	}
	if !known["C14"] || !known["T2"] || known["C15"] {
		t.Fatalf("the entries of docs/traps.md were not understood: %v", known)
	}
	tree, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	cited := regexp.MustCompile(`TRAPS ([A-Z]\d+)((?:(?:,| and| to) [A-Z]\d+)*)`)
	one := regexp.MustCompile(`[A-Z]\d+`)
	for _, p := range tree.pkgs {
		for _, f := range p.files {
			for _, c := range cited.FindAllString(string(f.source), -1) {
				for _, name := range one.FindAllString(strings.TrimPrefix(c, "TRAPS"), -1) {
					if !known[name] {
						t.Errorf("%s cites trap %s, which docs/traps.md lacks", f.path, name)
					}
				}
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns the text from a heading to the next of its rank.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n"+heading)
	if !found {
		t.Fatalf("no heading %q", heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// tableLines returns the first two cells of each line of the tables in text.
func tableLines(text string) [][2]string {
	var lines [][2]string
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) > 3 {
			lines = append(lines, [2]string{cells[1], cells[2]})
		}
	}
	return lines
}

func eachDocument(t *testing.T, visit func(name, text string)) {
	t.Helper()
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skipped(root, name) {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, ".md") {
			visit(name, read(t, name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
