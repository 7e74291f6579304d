// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite testdata/*.golden and the vectors in docs from the code")
	flag.Parse()
	os.Exit(m.Run())
}

// golden is a vector: bytes that this release writes, and that every later one reads.
type golden struct {
	name  string
	note  string              // what the reader should know; empty where the notation says it
	bytes []byte              // as the encoder makes them
	plain []byte              // the MessagePack in them, where they are not all of it
	check func([]byte) string // decodes, and says how the value differs; empty where not
}

// of is the golden of a message or record whose decoder fills in a T.
func of[T any](
	name, note string, v T, encode func([]byte, *T) []byte, decode func([]byte, *T) error,
) golden {
	g := golden{name: name, note: note, bytes: encode(nil, &v)}
	g.check = func(b []byte) string {
		var got T
		if err := decode(b, &got); err != nil {
			return err.Error()
		}
		return cmp.Diff(v, got, cmpopts.EquateEmpty())
	}
	return g
}

// sealed is the golden of a record; its notation is that of the payload.
func sealed[T any](name, note string, v T, rec []byte, decode func([]byte) (T, error)) golden {
	return golden{
		name: name, note: note, bytes: rec, plain: rec[RecordOverhead:],
		check: func(b []byte) string {
			got, err := decode(b)
			if err != nil {
				return err.Error()
			}
			return cmp.Diff(v, got, cmpopts.EquateEmpty())
		},
	}
}

// goldenGroups are the vectors by file, and the document that shows each.
func goldenGroups() []goldenGroup {
	return []goldenGroup{
		{"client_kv", "protocol.md", goldenKV()},
		{"client_cluster", "protocol.md", goldenClusterMessages()},
		{"client_locks", "protocol.md", goldenLocks()},
		{"client_group", "protocol.md", goldenGroupMessages()},
		{"client_repair", "protocol.md", goldenRepairs()},
		{"client_hints", "protocol.md", goldenHints()},
		{"frames", "protocol.md", goldenFrames()},
		{"peer", "peer-protocol.md", goldenPeer()},
		{"peer_tree", "peer-protocol.md", goldenTrees()},
		{"peer_purge", "peer-protocol.md", goldenPurges()},
		{"peer_handoff", "peer-protocol.md", goldenHandoff()},
		{"peer_fence", "peer-protocol.md", goldenFencing()},
		{"peer_meta", "peer-protocol.md", goldenMeta()},
		{"records", "peer-protocol.md", goldenRecords()},
	}
}

type goldenGroup struct {
	file, doc string
	vectors   []golden
}

func TestBytesOfEveryMessageAndRecordStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, group := range goldenGroups() {
		t.Run(group.file, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			for _, g := range group.vectors {
				fmt.Fprintf(&text, "%s\n%s\n\n", g.name, g.text(t))
			}
			path := filepath.Join("testdata", group.file+".golden")
			if updating() {
				if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text.String()); diff != "" {
				t.Errorf("%s; a change of stored or sent bytes needs a new format or field, "+
					"see doc.go (go test ./wire -update rewrites the file):\n%s", path, diff)
			}
		})
	}
}

// The bytes that are read are those of the files, not those that the encoder makes now.
func TestStoredVectorsAreStillRead(t *testing.T) {
	t.Parallel()
	for _, group := range goldenGroups() {
		stored := readGolden(t, filepath.Join("testdata", group.file+".golden"))
		for _, g := range group.vectors {
			b, found := stored[g.name]
			if !found {
				t.Errorf("%s has no vector %s", group.file, g.name)
				continue
			}
			if diff := g.check(b); diff != "" {
				t.Errorf("%s: %s", g.name, diff)
			}
		}
	}
}

func TestDocumentsShowTheVectors(t *testing.T) {
	t.Parallel()
	docs := map[string][]golden{}
	for _, group := range goldenGroups() {
		docs[group.doc] = append(docs[group.doc], group.vectors...)
	}
	for name, vectors := range docs {
		path := filepath.Join("..", "docs", name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		doc := string(b)
		for _, g := range vectors {
			begin, end := "<!-- golden "+g.name+" -->\n", "<!-- end -->"
			before, rest, found := strings.Cut(doc, begin)
			shown, after, closed := strings.Cut(rest, end)
			if !found || !closed {
				t.Errorf("%s does not show %s: put %q and %q where it belongs, and run with -update",
					name, g.name, begin, end)
				continue
			}
			want := "```\n" + g.text(t) + "\n```\n"
			if updating() {
				doc = before + begin + want + end + after
			} else if diff := cmp.Diff(want, shown); diff != "" {
				t.Errorf("%s shows %s otherwise (go test ./wire -update):\n%s", name, g.name, diff)
			}
		}
		if n := strings.Count(doc, "<!-- golden "); n != len(vectors) {
			t.Errorf("%s shows %d vectors, there are %d", name, n, len(vectors))
		}
		doc = showPlacement(t, name, doc)
		if updating() {
			if err := os.WriteFile(path, []byte(doc), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// text is the vector for people: a note, the content in a notation that the library's
// decoder gives, and the bytes.
func (g golden) text(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if g.note != "" {
		b.WriteString("# " + g.note + "\n")
	}
	plain := g.bytes
	if g.plain != nil {
		plain = g.plain
	}
	if len(plain) > 0 {
		d := msgpack.NewDecoder(bytes.NewReader(plain))
		notation, err := notate(d)
		if err != nil {
			t.Fatalf("%s: the library can not read it: %v", g.name, err)
		}
		for _, line := range wrap(notation) {
			b.WriteString("# " + line + "\n")
		}
	}
	for rest := g.bytes; len(rest) > 0; {
		n := min(len(rest), 24)
		fmt.Fprintf(&b, "% x\n", rest[:n])
		rest = rest[n:]
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// wrap breaks a notation behind commas, at about 90 columns.
func wrap(s string) []string {
	var lines []string
	for len(s) > 90 {
		at := strings.LastIndex(s[:90], ", ")
		if at < 0 {
			if at = strings.Index(s, ", "); at < 0 {
				break
			}
		}
		lines, s = append(lines, s[:at+1]), "  "+s[at+2:]
	}
	return append(lines, s)
}

// readGolden reads the bytes of a file of vectors.
func readGolden(t *testing.T, path string) map[string][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string][]byte{}
	for _, block := range strings.Split(strings.TrimSpace(string(b)), "\n\n") {
		lines := strings.Split(block, "\n")
		var digits strings.Builder
		for _, line := range lines[1:] {
			if !strings.HasPrefix(line, "#") {
				digits.WriteString(strings.ReplaceAll(line, " ", ""))
			}
		}
		if stored[lines[0]], err = hex.DecodeString(digits.String()); err != nil {
			t.Fatalf("%s, %s: %v", path, lines[0], err)
		}
	}
	return stored
}

// showPlacement checks, or writes, the vectors of the hash in the client's document.
func showPlacement(t *testing.T, name, doc string) string {
	t.Helper()
	const begin, end, longest = "<!-- placement -->\n", "<!-- end -->", 20
	before, rest, found := strings.Cut(doc, begin)
	shown, after, _ := strings.Cut(rest, end)
	if !found {
		return doc
	}
	b, err := os.ReadFile(filepath.Join("..", "ring", "testdata", "hash_vectors.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := "| cluster id | bucket id | key | hash | partition of 1 | of 2 | of 128 | of 65,536 |\n" +
		"|---|---|---|---|---|---|---|---|\n"
	for _, line := range strings.Split(string(b), "\n") {
		columns := strings.Fields(line)
		if len(columns) == 8 && columns[0] != "#" && columns[2] != "-" && len(columns[2]) <= longest {
			want += "| " + strings.Join(columns, " | ") + " |\n"
		}
	}
	if diff := cmp.Diff(want, shown); diff != "" && !updating() {
		t.Errorf("%s shows the hash otherwise (go test ./wire -update):\n%s", name, diff)
	}
	return before + begin + want + end + after
}
