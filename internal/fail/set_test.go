// SPDX-License-Identifier: Apache-2.0

package fail

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errTest = errors.New("broken on purpose")

func TestNilSetNeverFails(t *testing.T) {
	var s *Set
	if err := s.Hit("a"); err != nil || s.Dropped("a") || s.Hits("a") != 0 {
		t.Errorf("a nil set did something: %v", err)
	}
	if got := testing.AllocsPerRun(100, func() { _ = s.Hit("a") }); got != 0 {
		t.Errorf("a nil set allocates %v times", got)
	}
}

func TestPlanIsDueAtTheHitsThatItNames(t *testing.T) {
	tests := []struct {
		name string
		plan Plan
		want []bool // fails at the first, second, ... hit
	}{
		{"all", Plan{Err: errTest}, []bool{true, true, true, true}},
		{"once", Plan{Err: errTest, Times: 1}, []bool{true, false, false, false}},
		{"third", Plan{Err: errTest, Skip: 2, Times: 1}, []bool{false, false, true, false}},
		{"from the second", Plan{Err: errTest, Skip: 1}, []bool{false, true, true, true}},
		{"two in the middle", Plan{Drop: true, Skip: 1, Times: 2}, []bool{false, true, true, false}},
		{"counts only", Plan{}, []bool{false, false, false, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSet()
			_ = s.Hit("p") // before it was armed: not the plan's
			s.Arm("p", tt.plan)
			var got []bool
			for range tt.want {
				got = append(got, s.Hit("p") != nil)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("failing hits (-want +got):\n%s", diff)
			}
			if s.Hits("p") != len(tt.want)+1 || s.Hits("q") != 0 {
				t.Errorf("hits: %d of p, %d of q", s.Hits("p"), s.Hits("q"))
			}
		})
	}
}

func TestErrorsNameThePointAndKeepTheirCause(t *testing.T) {
	s := NewSet()
	s.Arm("storage/commit", Plan{Err: errTest})
	err := s.Hit("storage/commit")
	if !errors.Is(err, errTest) || err.Error() != "failpoint storage/commit: broken on purpose" {
		t.Errorf("got %v", err)
	}
	s.Arm("storage/commit", Plan{Drop: true})
	if err := s.Hit("storage/commit"); !errors.Is(err, ErrDropped) || !s.Dropped("storage/commit") {
		t.Errorf("got %v, want ErrDropped", err)
	}
	s.Disarm("storage/commit")
	if err := s.Hit("storage/commit"); err != nil {
		t.Errorf("disarmed, and got %v", err)
	}
}

func TestPanicNamesThePoint(t *testing.T) {
	s := NewSet()
	s.Arm("p", Plan{Panic: "crash here"})
	defer func() {
		if got := recover(); got != "failpoint p: crash here" {
			t.Errorf("recovered %v", got)
		}
	}()
	_ = s.Hit("p")
	t.Error("no panic")
}

// TestHookMayHoldTheCaller: a held hit blocks neither other points nor the set itself.
func TestHookMayHoldTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet()
		s.Arm("slow", Plan{Hook: func() error { time.Sleep(time.Hour); return errTest }})
		began := time.Now()
		done := make(chan error, 1)
		go func() { done <- s.Hit("slow") }()
		synctest.Wait()
		if err := s.Hit("other"); err != nil || s.Hits("slow") != 1 {
			t.Errorf("the set is blocked: %v", err)
		}
		if err := <-done; !errors.Is(err, errTest) || time.Since(began) != time.Hour {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

func TestConcurrentHitsFailExactlyAsOftenAsPlanned(t *testing.T) {
	s := NewSet()
	s.Arm("p", Plan{Skip: 100, Times: 50, Err: errTest})
	var mu sync.Mutex
	failed := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if s.Hit("p") != nil {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if failed != 50 || s.Hits("p") != 800 {
		t.Errorf("%d failures in %d hits, want 50 in 800", failed, s.Hits("p"))
	}
}
