// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// killedLog is what the log of a killed process has after so many transactions, and where
// each of them ends.
func killedLog(t *testing.T, txns int) (dir string, log []byte, ends []int) {
	t.Helper()
	root := ramDir(t)
	dir = filepath.Join(root, "killed")
	b := openBadger(t, filepath.Join(root, "data"))
	path := filepath.Join(root, "data", "00001.mem")
	for ts := uint64(1); ts <= uint64(txns); ts++ {
		var writes []Write
		for k := range 1 + ts%4 {
			key := fmt.Appendf(nil, "key %d of %d", k, ts)
			writes = append(writes, Write{Key: key, Value: bytes.Repeat(key, int(ts%5)*30)})
		}
		mustCommit(t, b, ts, writes...)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, len(bytes.TrimRight(data, "\x00")))
	}
	err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "data")))
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	if log, err = os.ReadFile(filepath.Join(dir, "00001.mem")); err != nil {
		t.Fatal(err)
	}
	return dir, log, ends
}

// TestADamagedLogIsRefused: Badger would serve what stands before the damage, and say of the
// rest that it was never there.
func TestADamagedLogIsRefused(t *testing.T) {
	dir, log, ends := killedLog(t, 20)
	log[ends[4]+30] ^= 4
	if err := os.WriteFile(filepath.Join(dir, "00001.mem"), log, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and nothing has changed by that
		b, err := OpenBadger(BadgerConfig{Dir: dir, Memtable: MinMemtable}, zapTest(t))
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("it is opened: %v", err)
		}
		if err == nil {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestEachBitBeforeTheLastTransactionCounts flips one bit of every byte. The last transaction
// may have been torn by a loss of power, and behind it is nothing.
func TestEachBitBeforeTheLastTransactionCounts(t *testing.T) {
	_, log, ends := killedLog(t, 12)
	last, end := ends[len(ends)-2], ends[len(ends)-1]
	log = log[:end+100]
	if at, damaged := damagedLog(log); damaged || at < end {
		t.Fatalf("a log that is whole ends at %d of %d, damaged: %v", at, ends, damaged)
	}
	for at := logHeader; at < len(log); at++ {
		bit := byte(1) << (at % 8)
		log[at] ^= bit
		if _, damaged := damagedLog(log); damaged != (at < last) {
			t.Errorf("byte %d, with the last transaction from %d on: damaged %v", at, last, damaged)
		}
		log[at] ^= bit
	}
}

// TestATornLogIsNotDamaged has power losses leave any of the sectors of the last transaction,
// and any length of the file.
func TestATornLogIsNotDamaged(t *testing.T) {
	const sector = 512
	rng := rand.New(rand.NewPCG(1, 1))
	_, log, ends := killedLog(t, 12)
	log = log[:ends[len(ends)-1]+1000]
	for n := 1; n < len(ends); n++ { // the transaction that was torn
		whole := append(bytes.Clone(log[:ends[n]]), make([]byte, 1000)...)
		for range 200 {
			torn := bytes.Clone(whole)
			for at := ends[n-1]; at < ends[n]; {
				next := min((at/sector+1)*sector, ends[n])
				if rng.IntN(2) == 0 {
					clear(torn[at:next])
				}
				at = next
			}
			torn = torn[:ends[n-1]+rng.IntN(len(torn)-ends[n-1]+1)]
			if at, damaged := damagedLog(torn); damaged || at < ends[n-1] {
				t.Fatalf("transaction %d is torn: it ends at %d of %v, damaged: %v", n+1, at, ends, damaged)
			}
		}
	}
}

func TestAnyBytesAreALog(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		data := make([]byte, rng.IntN(200))
		for i := range data {
			few := rng.Uint32() // bits: numbers are small then, as those of records are
			data[i] = byte(few) & byte(few>>8)
		}
		copy(data[rng.IntN(len(data)+1):], logEndKey)
		if _, damaged := damagedLog(data); damaged {
			t.Fatalf("%x is taken for a log with transactions in it", data)
		}
	}
}
