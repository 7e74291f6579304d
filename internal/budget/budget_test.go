// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func testConfig() Config {
	return Config{Rate: 1000, Least: 100, Burst: 500, Strain: 150, Floor: time.Millisecond}
}

// Whoever waits as long as it is told moves no more than the burst, the rate times the
// time, and one piece (I1).
func TestWhatIsGrantedIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := NewBucket(testConfig())
		start := time.Unix(1000, 0)
		now, moved, largest := start, 0, 0
		for range rapid.IntRange(1, 50).Draw(t, "takes") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "rest")) * time.Millisecond)
			piece := rapid.IntRange(0, 2000).Draw(t, "piece")
			now = now.Add(b.Take(now, piece))
			moved, largest = moved+piece, max(largest, piece)
			most := 500 + now.Sub(start).Seconds()*1000 + float64(largest) + 1
			if float64(moved) > most {
				t.Fatalf("%d bytes after %v, at most %.0f", moved, now.Sub(start), most)
			}
		}
	})
}

// steadyConfig is of a budget whose rate is always the same.
func steadyConfig() Config {
	cfg := testConfig()
	cfg.Least = cfg.Rate
	return cfg
}

func TestAFullBucketGrantsAtOnceAndThenByItsRate(t *testing.T) {
	t.Parallel()
	b := NewBucket(steadyConfig())
	now := time.Unix(1000, 0)
	if wait := b.Take(now, 500); wait != 0 {
		t.Errorf("a full bucket lets wait %v", wait)
	}
	if wait := b.Take(now, 1000); wait != 0 { // paid for by whoever comes after
		t.Errorf("an empty bucket that owes nothing lets wait %v", wait)
	}
	if wait := b.Take(now, 1); wait != time.Second {
		t.Errorf("1000 bytes owed at 1000 a second are a wait of %v", wait)
	}
	now = now.Add(-time.Hour) // a clock that steps back grants nothing, and takes nothing
	if wait := b.Take(now, 0).Round(time.Millisecond); wait != 1001*time.Millisecond {
		t.Errorf("after a step of the clock the wait is %v", wait)
	}
}

// busy moves as much as the bucket lets through in a second, and then has it look.
func busy(b *Bucket, p99 time.Duration) {
	b.Take(time.Time{}, int(b.Rate()))
	b.Look(p99)
}

func TestTheRateShrinksWhileClientsWaitLongAndComesBack(t *testing.T) {
	t.Parallel()
	b := NewBucket(testConfig())
	const usual = 10 * time.Millisecond
	for range 100 {
		busy(b, usual)
	}
	if b.Rate() != 1000 {
		t.Fatalf("waits as usual have brought the rate to %d", b.Rate())
	}
	busy(b, 14*time.Millisecond)
	if b.Rate() != 1000 {
		t.Errorf("a wait within the strain has brought the rate to %d", b.Rate())
	}
	busy(b, 2*usual)
	if b.Rate() != 500 {
		t.Errorf("a long wait has brought the rate to %d", b.Rate())
	}
	for range 60 { // a minute of it does not make it usual
		busy(b, 2*usual)
	}
	if b.Rate() != 100 {
		t.Errorf("a minute of long waits has brought the rate to %d, want the least", b.Rate())
	}
	for range 20 {
		busy(b, usual)
	}
	if b.Rate() != 1000 {
		t.Errorf("after waits as usual the rate comes back to %d only", b.Rate())
	}
}

// Clients wait long as soon as work begins that takes all it may: what is halved is what was
// moved, not a rate that nobody had come near (I4).
func TestAfterALongWaitHalfOfWhatWasMovedIsLeft(t *testing.T) {
	t.Parallel()
	b := NewBucket(testConfig())
	for range 100 {
		busy(b, 10*time.Millisecond)
	}
	b.Take(time.Time{}, 300)
	b.Look(30 * time.Millisecond)
	if b.Rate() != 150 {
		t.Errorf("the rate is %d after 300 bytes in a second that was too much", b.Rate())
	}
}

func TestWhatHasRestedBeginsGently(t *testing.T) {
	t.Parallel()
	b := NewBucket(testConfig())
	for range 100 {
		busy(b, 10*time.Millisecond)
	}
	b.Look(10 * time.Millisecond) // a second in which nothing was moved
	if b.Rate() != 125 {
		t.Errorf("it begins with %d after a rest, want little more than the least", b.Rate())
	}
	for range 3 { // what goes on at half of the rate goes on so
		b.Take(time.Time{}, 100)
		b.Look(10 * time.Millisecond)
	}
	if b.Rate() != 125 {
		t.Errorf("of 100 bytes a second the rate has become %d", b.Rate())
	}
}

// What is usual is learnt while nothing is moved, and forgotten soon when it was of an hour
// of many clients: those after it would be made to wait as long by background work.
func TestWhatIsUsualIsLearntAtRestAndForgottenSoon(t *testing.T) {
	t.Parallel()
	b := NewBucket(testConfig())
	for range 300 {
		b.Look(10 * time.Millisecond)
	}
	for range 300 {
		b.Look(40 * time.Millisecond) // many clients, and nothing is moved
	}
	if busy(b, 40*time.Millisecond); b.Rate() <= 125 {
		t.Errorf("what is usual by now brings the rate to %d", b.Rate())
	}
	for range 20 {
		b.Look(10 * time.Millisecond)
	}
	for range 10 {
		busy(b, 10*time.Millisecond)
	}
	before := b.Rate()
	if busy(b, 20*time.Millisecond); b.Rate() != before/2 {
		t.Errorf("twice what is usual again brings the rate from %d to %d", before, b.Rate())
	}
}

func TestWithoutClientsTheRateIsTheFullOne(t *testing.T) {
	t.Parallel()
	b := NewBucket(testConfig())
	for range 10 {
		busy(b, 10*time.Millisecond)
	}
	busy(b, time.Second)
	if b.Look(0); b.Rate() != 1000 {
		t.Errorf("nobody is there, and the rate is %d", b.Rate())
	}
}

func TestShortWaitsAreNeverCalledLong(t *testing.T) {
	t.Parallel()
	b := NewBucket(testConfig())
	for range 20 {
		busy(b, 10*time.Microsecond)
	}
	busy(b, 900*time.Microsecond)
	if b.Rate() != 1000 {
		t.Errorf("a wait below the floor has brought the rate to %d", b.Rate())
	}
}

func TestAMeterKnowsThe99thPercentileToAnEighth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m Meter
		want := time.Duration(rapid.Int64Range(1, int64(time.Hour/time.Microsecond)).Draw(t, "us")) *
			time.Microsecond
		for range 97 {
			m.Observe(want / 2)
		}
		for range 2 {
			m.Observe(want)
		}
		m.Observe(2 * want) // one in a hundred
		if got := m.P99(); got < want || got > want+want/4+2*time.Microsecond {
			t.Fatalf("%v is shown as %v", want, got)
		}
		if got := m.P99(); got != 0 {
			t.Fatalf("what was shown is remembered: %v", got)
		}
	})
}

// Those who wait are served in the order in which they came, and one that goes away has
// its share spent (I3).
func TestTakersAreServedInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(steadyConfig())
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan int, 3)
		began := time.Now()
		for i := range 3 {
			go func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if s.Take(context.Background(), 1500) == nil {
					served <- i
				}
			}()
		}
		for i := range 3 {
			if got := <-served; got != i {
				t.Errorf("%d is served in place of %d", got, i)
			}
		}
		if took := time.Since(began); took < 2400*time.Millisecond || took > 2600*time.Millisecond {
			t.Errorf("4500 bytes took %v", took)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if err := s.Take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a taker whose time is up is told %v", err)
		}
	})
}

func TestFaultsOfAConfigAreAllTold(t *testing.T) {
	t.Parallel()
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a budget of nothing is accepted")
	}
	bad := testConfig()
	bad.Rate = bad.Least - 1
	if bad.Validate() == nil {
		t.Error("a rate below the least is accepted")
	}
}
