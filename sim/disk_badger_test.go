// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/storage"
)

// TestAKilledBadgerKeepsWhatItWasGiven also of a commit that the process never heard of,
// and the next process, which opens a copy, is not disturbed by what the dead one does.
func TestAKilledBadgerKeepsWhatItWasGiven(t *testing.T) {
	for _, power := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := DiskOf(t, EngineBadgerTmpfs)
			s := openDisk(t, d)
			must(t, s.Data.Commit(1, []storage.Write{set("a", "1")}))
			ended := commitHalf(d, s.Data, 2, set("a", "2"), set("b", "2"))
			if power {
				d.LosePower(source(1, "power"))
			} else {
				d.Kill()
			}
			if err := <-ended; !errors.Is(err, ErrFenced) {
				t.Errorf("the commit of a dead process: %v", err)
			}
			after := openDisk(t, d)
			if got := list(t, after.Data, 2, "", ""); !slices.Equal(got, []string{"a=2", "b=2"}) {
				t.Errorf("after the end %q", got)
			}
			want := map[bool]string{false: "boot 1", true: "boot 2"}[power]
			if got := d.Stats(); got.Kills+got.PowerLosses != 1 || after.Boot != want {
				t.Errorf("%+v, %s", got, after.Boot)
			}
		})
	}
}

// TestADeadBadgerLeavesNothingBehind: its directory goes as soon as it has closed, also
// where the end came in the middle of a read.
func TestADeadBadgerLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := DiskOf(t, EngineBadgerTmpfs)
		dir := d.medium.(*folder).cfg.Dir
		e := openDisk(t, d).Data
		must(t, e.Commit(1, []storage.Write{set("a", "1"), set("b", "2")}))
		lives := func() int {
			time.Sleep(time.Second)
			found, err := filepath.Glob(filepath.Join(dir, "life *"))
			must(t, err)
			return len(found)
		}
		must(t, e.Iterate(1, nil, nil, func(k, v []byte) bool {
			if string(k) == "a" {
				d.Kill()
				if n := lives(); n != 2 {
					t.Errorf("%d directories while the dead process reads in one", n)
				}
			}
			return string(v) != "" // and it is there to be read
		}))
		for range 3 {
			openDisk(t, d)
			d.Kill()
		}
		if n := lives(); n != 1 {
			t.Errorf("%d directories for the next process", n)
		}
		must(t, d.Close())
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a closed disk is still there: %v", err)
		}
	})
}

// TestABadgerStopsAtItsFirstFailure as the product has it: nothing is written any more,
// what was written is there.
func TestABadgerStopsAtItsFirstFailure(t *testing.T) {
	for op, want := range map[Op]string{OpWrite: "[k=1]", OpSync: "[k=2]"} {
		on(t, func(t *testing.T, disk func() *Disk) {
			d := disk()
			if _, simulated := d.medium.(*images); simulated {
				return // which goes on, to show what an engine that does so loses
			}
			e := openDisk(t, d).Data
			d.Fail(Data, op, 2)
			for ts := uint64(1); ts <= 3; ts++ {
				err := e.Commit(ts, []storage.Write{set("k", fmt.Sprint(ts))})
				if (ts > 1) != errors.Is(err, syscall.EIO) {
					t.Errorf("commit %d: %v", ts, err)
				}
			}
			if got := fmt.Sprint(list(t, e, 3, "", "")); got != want || !errors.Is(e.Tend(), syscall.EIO) {
				t.Errorf("%s, want %s; tend: %v", got, want, e.Tend())
			}
			d.Fail(Data, OpRead, 1)
			if _, _, err := e.Get([]byte("k"), 3); !errors.Is(err, syscall.EIO) {
				t.Errorf("a read that is to fail: %v", err)
			}
			if s := d.Stats(); s.Reads != 1 || s.Writes+s.Syncs != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestABadgerOnAFullDiskTakesNothing(t *testing.T) {
	d := DiskOf(t, EngineBadgerTmpfs)
	e := openDisk(t, d).Data
	must(t, e.Commit(1, []storage.Write{set("k", "1")}))
	d.SetFree(10)
	if free, err := d.FreeBytes(); err != nil || free != 10 {
		t.Errorf("%d bytes free, %v", free, err)
	}
	must(t, e.Commit(2, []storage.Write{set("l", "fits here")}))
	if free, _ := d.FreeBytes(); free != 0 {
		t.Errorf("%d bytes free", free)
	}
	if err := e.Commit(3, []storage.Write{set("m", "")}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a commit that does not fit: %v", err)
	}
	if got := list(t, e, 3, "", ""); !slices.Equal(got, []string{"k=1", "l=fits here"}) || d.Stats().Full != 1 {
		t.Errorf("%q, %+v", got, d.Stats())
	}
}

// TestACopyIsOfOneMoment: directories are killed, and so copied, while commits go on and
// Badger flushes and merges beside them. Each copy must hold all that was acknowledged.
func TestACopyIsOfOneMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := DiskOf(t, EngineBadgerTmpfs)
		last := uint64(0)
		for life := range several(25) {
			e := openDisk(t, d).Data
			demandMoment(t, e, last)
			enough, acked := make(chan struct{}), make(chan uint64)
			go func() {
				ts, until := e.MaxVersion(), last+400+17*life
				for e.Commit(ts+1, []storage.Write{moment(ts + 1)}) == nil {
					ts++
					if ts == until {
						close(enough)
					}
				}
				acked <- ts
			}()
			<-enough
			d.Kill()
			last = <-acked
		}
	})
}

const moments = 40 // keys of moment

// moment is what is committed at ts.
func moment(ts uint64) storage.Write {
	return set(fmt.Sprint(ts%moments), strings.Repeat(fmt.Sprint(ts%10), 3<<10))
}

// demandMoment demands what all commits up to ts have left.
func demandMoment(t *testing.T, e storage.Engine, ts uint64) {
	t.Helper()
	if e.MaxVersion() < ts {
		t.Fatalf("the newest version is %d, after a commit at %d", e.MaxVersion(), ts)
	}
	for at := ts; at > 0 && at+moments > ts; at-- {
		w := moment(at)
		if got := get(t, e, string(w.Key), ts); got != string(w.Value) {
			t.Fatalf("of %d commits that at %d is lost: %.10q", ts, at, got)
		}
	}
}

// TestTurnedBitsOfABadgerGoWithTheValue: they are there for iterations and for the next
// process, and are gone once the value is overwritten.
func TestTurnedBitsOfABadgerGoWithTheValue(t *testing.T) {
	d := DiskOf(t, EngineBadgerTmpfs)
	e := openDisk(t, d).Data
	must(t, e.Commit(1, []storage.Write{set("a", "aaaa")}))
	d.Kill()
	if key, done := d.FlipBit(Data, source(1, "flip")); !done || key != "a" {
		t.Fatalf("%q, %t", key, done)
	}
	e = openDisk(t, d).Data
	if got := get(t, e, "a", 1); got == "aaaa" || list(t, e, 1, "", "")[0] != "a="+got {
		t.Errorf("%q is not damaged, or not alike: %q", got, list(t, e, 1, "", ""))
	}
	must(t, e.Commit(2, []storage.Write{set("a", "bbbb")}))
	if got := get(t, e, "a", 2); got != "bbbb" {
		t.Errorf("the new value is %q", got)
	}
}

func TestAnEngineSaysWhatItSupports(t *testing.T) {
	all := []Feature{Restart, PowerLoss, UnsyncedLoss, Replace}
	for kind, want := range map[EngineKind][]Feature{
		EngineDisk: all, EngineBadgerMemory: nil, EngineBadgerTmpfs: {Restart, PowerLoss, Replace},
	} {
		for _, f := range all {
			if got := kind.Supports(f); got != slices.Contains(want, f) {
				t.Errorf("%s supports feature %d: %t", kind, f, got)
			}
		}
	}
	d, other := DiskOf(t, EngineBadgerMemory), NewDisk()
	if err := d.Restore(other.Copy()); !errors.Is(err, errOtherEngine) {
		t.Errorf("a copy of another engine: %v", err)
	}
	if err := other.Restore(d.Copy()); !errors.Is(err, errOtherEngine) {
		t.Errorf("the copy of an engine in memory: %v", err)
	}
	must(t, openDisk(t, d).Data.Commit(1, []storage.Write{set("k", "v")}))
	d.Kill()
	if e := openDisk(t, d).Data; e.MaxVersion() != 0 || e.Size() != 0 {
		t.Errorf("an engine in memory found %d bytes", e.Size())
	}
	if _, err := (Config{Engine: EngineBadgerTmpfs}).disk("h"); err == nil {
		t.Error("a directory nowhere")
	}
	if _, err := (Config{Engine: engineKinds}).disk("h"); err == nil {
		t.Error("an engine of no kind")
	}
}
