// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

const (
	// residentBound is how many bytes of mapped files the process may have in its memory
	// before the tables' pages are given back.
	residentBound = 64 << 20
	// residentPause lies between two times: pages that are in use come back at once, and
	// each costs a fault.
	residentPause = 2 * time.Second
)

// trimResident takes the pages of tables out of the process's memory where there are
// many. Badger writes and reads tables through memory maps and keeps every page that it
// ever touched, so the process would grow to the size of its data. The pages stay in
// the kernel's cache, where a read finds them again.
func (b *Badger) trimResident() error {
	if time.Since(b.trimmed) < residentPause || mappedFileBytes() < b.resident {
		return nil
	}
	b.trimmed = time.Now()
	return b.dropPages()
}

// dropPages must never touch a map that Badger has just unmapped: something else might
// stand at its address. An open iterator keeps all tables of its moment; those that
// are there before and after it was opened are among them.
func (b *Badger) dropPages() error {
	before := b.tableNames()
	txn := b.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	opt := badger.DefaultIteratorOptions
	opt.PrefetchValues = false
	it := txn.NewIterator(opt)
	defer it.Close()
	held := b.tableNames()
	for name := range held {
		if !before[name] {
			delete(held, name)
		}
	}
	maps, err := os.ReadFile(b.maps)
	if err != nil {
		return fmt.Errorf("storage: list memory maps: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(maps))
	for lines.Scan() {
		m, ok := parseMap(lines.Text())
		if !ok || !held[m.path] {
			continue
		}
		// The map is shared: its pages are the file's, and dropping them changes nothing.
		_, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
		if errno != 0 {
			return fmt.Errorf("storage: give back pages of %s: %w", m.path, errno)
		}
	}
	return nil
}

// tableNames is the set of the tables' files as /proc names them.
func (b *Badger) tableNames() map[string]bool {
	names := make(map[string]bool)
	for _, table := range b.db.Tables() {
		names[filepath.Join(b.real, fmt.Sprintf("%06d.sst", table.ID))] = true
	}
	return names
}

// memoryMap is a line of /proc/self/maps:
//
//	7f5c2a000000-7f5c2a200000 rw-s 00000000 fe:00 123456    /var/lib/dyno/data/000001.sst
type memoryMap struct {
	start, end uintptr
	path       string
}

func parseMap(line string) (m memoryMap, ok bool) {
	at := strings.IndexByte(line, '/')
	fields := strings.Fields(line)
	if at < 0 || len(fields) < 6 || !strings.HasSuffix(fields[1], "s") {
		return memoryMap{}, false // no file, or not shared
	}
	from, to, _ := strings.Cut(fields[0], "-")
	start, err1 := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err1 != nil || err2 != nil || end <= start {
		return memoryMap{}, false
	}
	return memoryMap{uintptr(start), uintptr(end), line[at:]}, true
}

// mappedFileBytes is how much of the process's memory are pages of files, 0 where that
// can not be told.
func mappedFileBytes() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 3 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
