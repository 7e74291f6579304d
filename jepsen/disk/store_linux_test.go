// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/disk"
)

func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the store has race tests of its own, and the disk has the others here")
	}
}

// TestAStoreLosesNoAcknowledgedWriteToALossOfPower kills a process under load, takes the
// power of its disk away, and looks for every write that was acknowledged.
func TestAStoreLosesNoAcknowledgedWriteToALossOfPower(t *testing.T) {
	notShort(t)
	want := 1500
	if os.Getenv("DYNO_LONG") != "" {
		want = 40_000
	}
	for _, torn := range []bool{false, true} {
		for _, strict := range []bool{false, true} {
			t.Run(fmt.Sprintf("torn=%v,strict=%v", torn, strict), func(t *testing.T) {
				d := mount(t, disk.Config{Seed: 1, Strict: strict})
				dir := filepath.Join(d.Dir(), "node")
				w := startWriting(t, dir)
				w.watch(t)
				w.until(want)
				w.kill()
				w.end()
				if len(w.acked) < want {
					t.Fatalf("%d writes: %s", len(w.acked), &w.errs)
				}
				lost := loss(t, d, torn)
				if n := w.missing(t, dir); n != 0 {
					t.Errorf("%d of %d acknowledged writes are gone", n, len(w.acked))
				}
				t.Logf("%d acknowledged, %+v, %+v", len(w.acked), lost, d.Counts())
			})
		}
	}
}

// TestAStoreOpensWhereverThePowerGoes takes the power in the first moments of a store, and of
// its next processes: while directories, logs and tables are made.
func TestAStoreOpensWhereverThePowerGoes(t *testing.T) {
	notShort(t)
	stores := uint64(6)
	if os.Getenv("DYNO_LONG") != "" {
		stores = 300
	}
	for seed := range stores {
		rng := rand.New(rand.NewPCG(seed, 9))
		d := mount(t, disk.Config{Seed: seed, Strict: seed%2 == 0})
		dir := filepath.Join(d.Dir(), "node")
		var all writing
		for life := range 4 {
			w := startWriting(t, dir)
			w.watch(t)
			time.Sleep(time.Duration(rng.IntN(30_000)) * time.Microsecond) // any moment will do
			if rng.IntN(2) == 0 {
				d.Set(disk.Faults{Stall: true})
				time.Sleep(time.Millisecond)
			}
			w.kill()
			w.end()
			loss(t, d, rng.IntN(3) > 0)
			d.Set(disk.Faults{})
			all.acked = append(all.acked, w.acked...)
			if w.errs.Len() > 0 {
				t.Fatalf("seed %d, life %d: %s", seed, life, &w.errs)
			}
			if n := all.missing(t, dir); n != 0 {
				t.Fatalf("seed %d, life %d: %d of %d writes are gone", seed, life, n, len(all.acked))
			}
		}
	}
}

// TestADiskThatLiesLosesWritesOfAStore shows that the test above can fail.
func TestADiskThatLiesLosesWritesOfAStore(t *testing.T) {
	d := mount(t, disk.Config{})
	dir := filepath.Join(d.Dir(), "node")
	w := startWriting(t, dir)
	w.watch(t)
	w.until(200)
	d.Set(disk.Faults{IgnoreSync: true})
	w.until(1500)
	w.kill()
	w.end()
	lost := loss(t, d, false)
	if n := w.missing(t, dir); n < 1000 || lost.Bytes < 1000*valueSize {
		t.Errorf("%d of %d acknowledged writes are gone, with %+v", n, len(w.acked), lost)
	}
	if c := d.Counts(); c.IgnoredSyncs == 0 {
		t.Errorf("counts %+v", c)
	}
}

// TestAStoreStopsAtItsFirstFailure fails a sync, or what the kernel writes for one, under
// load: Badger by itself would go on, and lose nearly all that it acknowledges from then on.
func TestAStoreStopsAtItsFirstFailure(t *testing.T) {
	notShort(t)
	syncs := func(c disk.Counts) int64 { return c.FailedSyncs }
	writes := func(c disk.Counts) int64 { return c.FailedWrites }
	full := func(c disk.Counts) int64 { return c.NoSpace }
	for _, x := range []struct {
		faults disk.Faults
		bit    func(disk.Counts) int64
	}{
		{disk.Faults{FailSyncAfter: 1}, syncs}, {disk.Faults{FailSyncAfter: 4}, syncs},
		{disk.Faults{FailSyncAfter: 60}, syncs}, {disk.Faults{FailWriteAfter: 1}, writes},
		{disk.Faults{FailWriteAfter: 30}, writes}, {disk.Faults{Free: -1}, full},
	} {
		t.Run(fmt.Sprintf("%+v", x.faults), func(t *testing.T) {
			d := mount(t, disk.Config{})
			dir := filepath.Join(d.Dir(), "node")
			w := startWriting(t, dir)
			w.watch(t)
			w.until(200)
			d.Set(x.faults)
			exit := w.end()
			if n := x.bit(d.Counts()); exit != 1 || n == 0 {
				t.Fatalf("exit %d, met %d times: %s", exit, n, &w.errs)
			}
			d.Set(disk.Faults{})
			loss(t, d, false)
			if n := w.missing(t, dir); n != 0 {
				t.Errorf("%d of %d acknowledged writes are gone", n, len(w.acked))
			}
		})
	}
}

// BenchmarkSyncedWrites is how many writes a store acknowledges in a second on such a disk,
// each of them synced.
func BenchmarkSyncedWrites(b *testing.B) {
	d := mount(b, disk.Config{})
	w := startWriting(b, filepath.Join(d.Dir(), "node"))
	w.until(2 * writers) // it is open
	begin, n := time.Now(), len(w.acked)
	b.ResetTimer()
	if !w.until(n + b.N) {
		b.Fatalf("it has ended: %s", &w.errs)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "writes/s")
	w.kill()
	w.end()
}

// BenchmarkSyncs is how many writes of 4 KiB, each with a sync of its own, the disk itself
// takes from one file and from eight at once.
func BenchmarkSyncs(b *testing.B) {
	for _, files := range []int{1, 8} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			d := mount(b, disk.Config{})
			var group sync.WaitGroup
			begin := time.Now()
			for i := range files {
				f, err := os.Create(filepath.Join(d.Dir(), fmt.Sprint(i)))
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				group.Go(func() {
					data := make([]byte, 4<<10)
					for n := range b.N / files {
						_, err := f.WriteAt(data, int64(n%1024)<<12)
						if err := errors.Join(err, f.Sync()); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64(b.N/files*files)/time.Since(begin).Seconds(), "syncs/s")
		})
	}
}
