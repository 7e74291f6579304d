// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

// The format of Badger's write-ahead log, as v4.9.6 has it: memtable.go and value.go there.
const (
	logHeader   = 20     // of the file
	logOfTxn    = 1 << 6 // a record that is in force once its transaction has ended
	logEndOfTxn = 1 << 7 // the record that ends one
	logMaxKey   = 1 << 16
	logTS       = 8 // at the end of each key
	// logEndHeader is how long the header of a record is that ends a transaction: each of
	// its three numbers is below 128.
	logEndHeader = 5
)

var (
	logEndKey = []byte("!badger!txn")
	logSum    = crc32.MakeTable(crc32.Castagnoli)
)

// checkLogs refuses a directory in whose logs something is damaged that was synced. Badger
// replays a log up to the first record that is not whole, and takes the rest for what a power
// loss has torn: a single bit would hide a whole memtable of acknowledged writes, and they
// would be called absent. The caller holds Badger's lock.
func checkLogs(dir string) error {
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return fmt.Errorf("storage: list logs: %w", err)
	}
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("storage: read a log: %w", err)
		}
		if at, damaged := damagedLog(data); damaged {
			return fmt.Errorf("%w: %s at byte %d, with acknowledged writes behind it", ErrDamaged, path, at)
		}
	}
	return nil
}

// damagedLog tells where replay would end, and whether something is behind that was synced.
// Each transaction is synced before the next one is written, so a power loss tears the last
// one only: whatever stands behind a broken transaction and belongs to another one tells that
// the broken one was synced. What is broken in the last transaction can not be told from what
// was never acknowledged.
func damagedLog(data []byte) (at int, damaged bool) {
	at = min(logHeader, len(data))
	open := uint64(0) // the transaction that has begun; 0: none has
	for next := at; ; {
		r, ok := readLogRecord(data[next:])
		if !ok || len(r.key) < logTS {
			break
		}
		next += r.size
		ts := math.MaxUint64 - binary.BigEndian.Uint64(r.key[len(r.key)-logTS:])
		if r.meta&logOfTxn != 0 {
			if open != 0 && open != ts {
				break
			}
			open = ts
			continue
		}
		if end, isEnd := r.ends(); open != 0 && (!isEnd || end != open) {
			break
		}
		open, at = 0, next
	}
	for rest := at; ; {
		i := bytes.Index(data[rest:], logEndKey)
		if i < 0 {
			return at, false
		}
		begin := rest + i - logEndHeader
		rest += i + len(logEndKey)
		if begin < at {
			continue
		}
		r, ok := readLogRecord(data[begin:])
		if !ok {
			continue
		}
		switch ts, isEnd := r.ends(); {
		case !isEnd:
		case open == 0:
			open = ts // nothing says yet that it is not the broken one's own end
		case ts != open:
			return at, true
		}
	}
}

type logRecord struct {
	meta       byte
	key, value []byte
	size       int
}

// ends tells which transaction a record ends, if it does.
func (r logRecord) ends() (ts uint64, ok bool) {
	key, ok := bytes.CutPrefix(r.key, logEndKey)
	if !ok || r.meta&logEndOfTxn == 0 || len(key) != logTS {
		return 0, false
	}
	ts, err := strconv.ParseUint(string(r.value), 10, 64)
	return ts, err == nil && ts == math.MaxUint64-binary.BigEndian.Uint64(key)
}

// readLogRecord reads a record whose sum is right.
func readLogRecord(data []byte) (r logRecord, ok bool) {
	const flags = 2 // meta, and one for users
	if len(data) < flags {
		return r, false
	}
	at, numbers := flags, [3]uint64{} // lengths of key and value, when it expires
	for i := range numbers {
		n, width := binary.Uvarint(data[at:])
		if width <= 0 {
			return r, false
		}
		numbers[i], at = n, at+width
	}
	left := uint64(len(data) - at)
	if numbers[0] == 0 || numbers[0] > logMaxKey || numbers[1] > left ||
		numbers[0]+numbers[1]+crc32.Size > left {
		return r, false
	}
	value := at + int(numbers[0])
	end := value + int(numbers[1])
	r = logRecord{
		meta: data[0], key: data[at:value], value: data[value:end], size: end + crc32.Size,
	}
	return r, crc32.Checksum(data[:end], logSum) == binary.BigEndian.Uint32(data[end:])
}
