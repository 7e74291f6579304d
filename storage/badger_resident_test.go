// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// residentTables is how many kB of an engine's tables are in this process's memory.
func residentTables(t *testing.T, b *Badger) (kB int) {
	t.Helper()
	file, err := os.Open("/proc/self/smaps")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("/proc/self/smaps, which tells what is in memory, is not there on this system")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ours := false
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, "-") && !strings.Contains(strings.Fields(line)[0], ":") {
			ours = strings.Contains(line, b.real) && strings.HasSuffix(line, ".sst")
		}
		var n int
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err == nil && ours {
			kB += n
		}
	}
	return kB
}

// TestPagesOfTablesAreGivenBackWhileOthersReadAndWrite drops pages under load: nothing
// may be lost, and nothing else may be hit.
func TestPagesOfTablesAreGivenBackWhileOthersReadAndWrite(t *testing.T) {
	b := openBadger(t, filepath.Join(t.TempDir(), "data"))
	defer b.Close()
	const keys = 60
	key := func(i int) string { return fmt.Sprintf("key-%03d", i) }
	value := func(i int) string { return strings.Repeat(fmt.Sprintf("%03d", i), 100<<10) }
	for i := range keys {
		mustCommit(t, b, uint64(i+1), set(key(i), value(i)))
	}
	before := residentTables(t, b)
	if before == 0 {
		t.Fatal("nothing is resident: the test tests nothing")
	}
	var group sync.WaitGroup
	group.Go(func() {
		for i := range keys {
			if err := b.Commit(uint64(keys+i+1), []Write{set(key(i), value(i))}); err != nil {
				t.Error(err)
			}
			b.SetDiscard(uint64(keys + i))
		}
	})
	group.Go(func() {
		for range 5 {
			for i := range keys {
				v, found, err := b.Get([]byte(key(i)), 1<<62)
				if err != nil || !found || string(v) != value(i) {
					t.Errorf("%s: found %t, %v, %d bytes", key(i), found, err, len(v))
				}
			}
		}
	})
	for range 100 {
		if err := b.dropPages(); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	for end := time.Now().Add(10 * time.Second); ; { // the last memtables are still flushed
		if err := b.dropPages(); err != nil {
			t.Fatal(err)
		}
		after := residentTables(t, b)
		if after <= before/4 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d kB of tables are resident, %d before", after, before)
		}
		time.Sleep(time.Millisecond)
	}
	for i := range keys {
		if got := get(t, b, key(i), 1<<62); got != value(i) {
			t.Fatalf("%s has changed", key(i))
		}
	}
}

func TestMemoryMapsAreParsed(t *testing.T) {
	for line, want := range map[string]memoryMap{
		"7f5c2a000000-7f5c2a200000 rw-s 00000000 fe:00 1234   /var/lib/dyno/data/000001.sst": {
			0x7f5c2a000000, 0x7f5c2a200000, "/var/lib/dyno/data/000001.sst",
		},
		"1000-2000 r--s 00000000 fe:00 1234   /a dir/000001.sst": {0x1000, 0x2000, "/a dir/000001.sst"},
		"1000-2000 r--p 00000000 fe:00 1234   /private.so":       {},
		"c000000000-c000400000 rw-p 00000000 00:00 0":            {},
		"1000-2000 rw-s 00000000 00:05 99 anon":                  {},
		"x-y rw-s 00000000 fe:00 1234 /z":                        {},
		"2000-1000 rw-s 00000000 fe:00 1234 /z":                  {},
		"":                                                       {},
	} {
		if got, ok := parseMap(line); got != want || ok != (want.path != "") {
			t.Errorf("%q: %v, %t; want %v", line, got, ok, want)
		}
	}
	if mappedFileBytes() == 0 {
		t.Error("this process has no page of a file, not even of its own code")
	}
}
