// SPDX-License-Identifier: Apache-2.0

package nemesis

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The table of docs/jepsen.md has a row for each kind, word for word.
func TestTheDocumentListsAllKinds(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "jepsen.md"))
	if err != nil {
		t.Fatal(err)
	}
	var missing strings.Builder
	rows := 0
	for _, in := range Kinds() {
		row := fmt.Sprintf("| `%s` | %s | %s |\n", in.Kind, in.Group, in.What)
		if !strings.Contains(string(text), row) {
			missing.WriteString(row)
		}
		rows++
	}
	if missing.Len() > 0 {
		t.Errorf("docs/jepsen.md lacks\n%s", &missing)
	}
	_, section, _ := strings.Cut(string(text), "## The faults\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if got := strings.Count(section, "\n| `"); got != rows {
		t.Errorf("docs/jepsen.md has %d rows, there are %d kinds", got, rows)
	}
}
