// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/storage"
)

// commitHalf begins a commit whose sync takes a second, and returns half a second later;
// ended receives what the commit said.
func commitHalf(d *Disk, e storage.Engine, ts uint64, writes ...storage.Write) <-chan error {
	d.SetSyncTime(time.Second)
	ended := make(chan error, 1)
	go func() { ended <- e.Commit(ts, writes) }()
	time.Sleep(time.Second / 2)
	return ended
}

func TestTheEndOfAProcessKeepsWhatTheOperatingSystemHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDisk()
		e := openDisk(t, d).Data
		must(t, e.Commit(1, []storage.Write{set("a", "1")}))
		ended := commitHalf(d, e, 2, set("a", "2"), set("b", "2"))
		d.Kill()
		if err := <-ended; !errors.Is(err, ErrFenced) {
			t.Errorf("the commit of a dead process: %v", err)
		}
		after := openDisk(t, d)
		if got := list(t, after.Data, 2, "", ""); !slices.Equal(got, []string{"a=2", "b=2"}) {
			t.Errorf("after a kill %q", got)
		}
		// It was read, so it must not vanish with the power.
		d.LosePower(nil)
		after = openDisk(t, d)
		if got := list(t, after.Data, 2, "", ""); !slices.Equal(got, []string{"a=2", "b=2"}) {
			t.Errorf("after the power loss %q", got)
		}
		if got := d.Stats(); got.Kills != 1 || got.PowerLosses != 1 || after.Boot != "boot 2" {
			t.Errorf("%+v, %s", got, after.Boot)
		}
	})
}

func TestALossOfPowerTakesTheCommitUnderWayWholeOrNotAtAll(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			d := NewDisk()
			e := openDisk(t, d).Data
			must(t, e.Commit(1, []storage.Write{set("a", "1")}))
			ended := commitHalf(d, e, 2, set("a", "2"), set("b", "2"), set("c", "2"))
			d.LosePower(source(seed, "power"))
			if err := <-ended; !errors.Is(err, ErrFenced) {
				t.Errorf("the commit of a dead process: %v", err)
			}
			got := list(t, openDisk(t, d).Data, 2, "", "")
			outcomes[fmt.Sprint(got)]++
			if lost := d.Stats().LostBytes; (lost > 0) != (len(got) == 1) {
				t.Errorf("%q and %d bytes lost", got, lost)
			}
		})
	}
	if len(outcomes) != 2 || outcomes["[a=1]"] < 10 || outcomes["[a=2 b=2 c=2]"] < 10 {
		t.Errorf("outcomes: %v", outcomes)
	}
}

// TestADiskThatStandsKeepsNothingOfWhatItWasGiven, whatever chance says; what was synced
// before stays.
func TestADiskThatStandsKeepsNothingOfWhatItWasGiven(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			d := NewDisk()
			e := openDisk(t, d).Data
			must(t, e.Commit(1, []storage.Write{set("a", "1")}))
			d.SetStanding(true)
			ended := commitHalf(d, e, 2, set("a", "2"))
			d.LosePower(source(seed, "power"))
			d.SetStanding(false)
			if err := <-ended; !errors.Is(err, ErrFenced) {
				t.Errorf("the commit of a dead process: %v", err)
			}
			if got := list(t, openDisk(t, d).Data, 2, "", ""); !slices.Equal(got, []string{"a=1"}) {
				t.Errorf("seed %d: %q", seed, got)
			}
		})
	}
}

func TestAFailedSyncLosesAllThatCameAfterIt(t *testing.T) {
	d := NewDisk()
	e := openDisk(t, d).Data
	d.Fail(Data, OpSync, 3)
	for ts := uint64(1); ts <= 5; ts++ {
		err := e.Commit(ts, []storage.Write{set("k", fmt.Sprint(ts))})
		if (ts == 3) != errors.Is(err, syscall.EIO) {
			t.Errorf("commit %d: %v", ts, err)
		}
	}
	if got := get(t, e, "k", 5); got != "5" {
		t.Errorf("before the power loss %q", got)
	}
	d.LosePower(source(1, "power"))
	if got := get(t, openDisk(t, d).Data, "k", 5); got != "2" {
		t.Errorf("after it %q, want 2", got)
	}
}

// TestAnOpenDoesNotSaveWhatAFailedSyncLeft: not before the engine had the time to write it
// anew. What was written since is safe.
func TestAnOpenDoesNotSaveWhatAFailedSyncLeft(t *testing.T) {
	for after, want := range map[time.Duration]string{
		0: "[a=1 d=4]", 999 * time.Millisecond: "[a=1 d=4]", time.Second: "[a=1 b=2 c=3 d=4]",
	} {
		synctest.Test(t, func(t *testing.T) {
			d := NewDisk()
			d.SetRewriteTime(time.Second)
			e := openDisk(t, d).Data
			d.Fail(Data, OpSync, 2)
			for ts, w := range []storage.Write{set("a", "1"), set("b", "2"), set("c", "3")} {
				if err := e.Commit(uint64(ts+1), []storage.Write{w}); (err != nil) != (ts == 1) {
					t.Errorf("commit %d: %v", ts+1, err)
				}
			}
			d.Kill()
			e = openDisk(t, d).Data
			must(t, e.Commit(4, []storage.Write{set("d", "4")}))
			if got := len(list(t, e, 4, "", "")); got != 4 {
				t.Errorf("%d keys before the power loss", got)
			}
			time.Sleep(after)
			d.LosePower(nil)
			if got := fmt.Sprint(list(t, openDisk(t, d).Data, 4, "", "")); got != want {
				t.Errorf("%v after the open %s, want %s", after, got, want)
			}
		})
	}
}

func TestFailuresComeWhereTheyWereSet(t *testing.T) {
	d := NewDisk()
	s := openDisk(t, d)
	d.Fail(Data, OpWrite, 2)
	must(t, s.Data.Commit(1, []storage.Write{set("k", "1")}))
	if err := s.Data.Commit(2, []storage.Write{set("k", "2")}); !errors.Is(err, syscall.EIO) {
		t.Errorf("the second write: %v", err)
	}
	if got := get(t, s.Data, "k", 2); got != "1" {
		t.Errorf("a write that failed left %q", got)
	}
	d.Fail(Data, OpRead, 1)
	if _, _, err := s.Data.Get([]byte("k"), 2); !errors.Is(err, syscall.EIO) {
		t.Errorf("the next read: %v", err)
	}
	d.Fail(Control, OpWrite, 1)
	must(t, s.Data.Commit(3, []storage.Write{set("k", "3")}))
	if err := s.Control.Delete("x"); !errors.Is(err, storage.ErrFailed) {
		t.Errorf("a write of the other part: %v", err)
	}
	if got := d.Stats(); got.Writes != 2 || got.Reads != 1 || got.Syncs != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAFullDiskTakesNothing(t *testing.T) {
	d := NewDisk()
	e := openDisk(t, d).Data
	must(t, e.Commit(1, []storage.Write{set("k", "1")}))
	d.SetFree(10)
	if free, err := d.FreeBytes(); err != nil || free != 10 {
		t.Errorf("%d bytes free, %v", free, err)
	}
	if err := e.Commit(2, []storage.Write{set("k", "ten bytes!")}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a commit that does not fit: %v", err)
	}
	must(t, e.Commit(3, []storage.Write{set("l", "fits here")}))
	if got := list(t, e, 3, "", ""); !slices.Equal(got, []string{"k=1", "l=fits here"}) {
		t.Errorf("%q", got)
	}
}

func TestADeadProcessReachesNothing(t *testing.T) {
	on(t, func(t *testing.T, disk func() *Disk) {
		for name, end := range Restarts() {
			t.Run(name, func(t *testing.T) {
				d := disk()
				s := openDisk(t, d)
				must(t, s.Data.Commit(1, []storage.Write{set("k", "1")}))
				if _, err := d.Open(nil); !errors.Is(err, storage.ErrLocked) {
					t.Errorf("a second process: %v", err)
				}
				if err := errors.Join(d.Wipe(), d.Restore(d.Copy())); !errors.Is(err, errInUse) {
					t.Errorf("wipe and restore under a process: %v", err)
				}
				end(t, d, s)
				next := openDisk(t, d) // what the dead one does must not end this one
				_, _, getErr := s.Data.Get([]byte("k"), 1)
				for what, err := range map[string]error{
					"get": getErr, "tend": s.Data.Tend(), "close": s.Data.Close(), "release": s.Release(),
					"commit":  s.Data.Commit(2, []storage.Write{set("k", "2")}),
					"iterate": s.Data.Iterate(1, nil, nil, func(_, _ []byte) bool { return true }),
				} {
					if !errors.Is(err, ErrFenced) {
						t.Errorf("%s: %v", what, err)
					}
				}
				s.Data.SetDiscard(5)
				if got := get(t, next.Data, "k", 1); got != "1" {
					t.Errorf("%q", got)
				}
			})
		}
	}, Restart, Replace)
}

func TestACopyIsIndependent(t *testing.T) {
	on(t, func(t *testing.T, disk func() *Disk) {
		d, other := disk(), disk()
		e := openDisk(t, d).Data
		must(t, e.Commit(1, []storage.Write{set("k", "old")}))
		backup := d.Copy()
		must(t, e.Commit(2, []storage.Write{set("k", "new"), set("l", "new")}))
		d.LosePower(nil)
		must(t, errors.Join(d.Restore(backup), other.Restore(backup)))
		e, twin := openDisk(t, d).Data, openDisk(t, other).Data
		must(t, e.Commit(2, []storage.Write{set("k", "newer")}))
		if got := list(t, twin, 2, "", ""); !slices.Equal(got, []string{"k=old"}) || twin.MaxVersion() != 1 {
			t.Errorf("the clone has %q at %d", got, twin.MaxVersion())
		}
		if got := get(t, e, "k", 2); got != "newer" {
			t.Errorf("the restored disk has %q", got)
		}
		d.Kill()
		must(t, d.Wipe())
		if e = openDisk(t, d).Data; e.MaxVersion() != 0 || len(list(t, e, 9, "", "")) > 0 {
			t.Error("a wiped disk has something")
		}
	}, Replace)
}

func TestAFlippedBitIsOneBit(t *testing.T) {
	on(t, func(t *testing.T, disk func() *Disk) {
		d := disk()
		if _, done := d.FlipBit(Data, source(1, "flip")); done {
			t.Error("an empty disk was damaged")
		}
		e := openDisk(t, d).Data
		must(t, e.Commit(1, []storage.Write{set("a", "aaaa"), set("b", ""), set("c", "cccc"), del("d")}))
		before := d.Copy()
		key, done := d.FlipBit(Data, source(1, "flip"))
		if !done || key != "a" && key != "c" {
			t.Fatalf("%q, %t", key, done)
		}
		bits := 0
		for _, b := range []byte(get(t, e, key, 1)) {
			for x := b ^ key[0]; x != 0; x &= x - 1 {
				bits++
			}
		}
		if bits != 1 {
			t.Errorf("%d bits were turned", bits)
		}
		d.Kill()
		must(t, d.Restore(before))
		if got := get(t, openDisk(t, d).Data, key, 1); got != key+key+key+key {
			t.Errorf("the damage reached a copy: %q", got)
		}
	}, Replace)
}
