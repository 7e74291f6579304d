// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// adding is the function of an update that adds an element to a set.
func adding(element string) func([]Sibling) ([]byte, error) {
	return func(siblings []Sibling) ([]byte, error) {
		set := []byte(element + " ")
		for _, s := range siblings {
			set = append(set, s.Value...)
		}
		return SetUnion(' ')([]Sibling{{Value: set}})
	}
}

func oneValue(t *testing.T, b *Bucket, key []byte) string {
	t.Helper()
	r, err := b.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.Value()
	if err != nil {
		t.Fatalf("%v: %v", err, values(r.Siblings))
	}
	return string(v)
}

func TestAnUpdateReadsAndReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		b, key := f.client(nil).Bucket("default"), []byte("cart")
		for _, e := range []string{"beer", "apples", "beer"} {
			r, err := b.Update(t.Context(), key, adding(e))
			if err != nil || r.SiblingCount != 1 {
				t.Fatal(r, err)
			}
		}
		if got := oneValue(t, b, key); got != "apples beer " {
			t.Errorf("the cart has %q", got)
		}
	})
}

func TestAnUpdateJoinsTheSiblingsThatItFinds(t *testing.T) {
	for _, join := range []bool{false, true} {
		t.Run(fmt.Sprintf("resolver %v", join), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 1)
				b, key := f.client(nil).Bucket("default"), []byte("cart")
				for _, v := range []string{"a ", "b "} {
					if _, err := b.Put(t.Context(), key, []byte(v)); err != nil {
						t.Fatal(err)
					}
				}
				var got int
				var o []Option
				if join {
					o = append(o, WithResolver(SetUnion(' ')))
				}
				_, err := b.Update(t.Context(), key, func(s []Sibling) ([]byte, error) {
					got = len(s)
					return adding("c")(s)
				}, o...)
				if want := map[bool]int{false: 2, true: 1}[join]; err != nil || got != want {
					t.Errorf("fn got %d siblings, want %d; %v", got, want, err)
				}
				if got := oneValue(t, b, key); got != "a b c " {
					t.Errorf("the cart has %q", got)
				}
			})
		})
	}
}

// intrude writes blindly before each of the next n puts.
func (f *fake) intrude(key []byte, n int) {
	left := n
	f.onData(func(_ *fakeNode, _ *rpc.Call, s seen) bool {
		if s.method == wire.MethodPut && left > 0 {
			f.mu.Lock()
			f.write(key, vclock.Context{}, kv.KindValue, fmt.Appendf(nil, "x%d ", left))
			f.mu.Unlock()
			left--
		}
		return false
	})
}

func TestAnUpdateJoinsWhatOthersWroteMeanwhile(t *testing.T) {
	cases := []struct {
		name    string
		writes  int
		options []Option
		count   int
		puts    int
	}{
		{"without resolver it says how many there are", 1, nil, 2, 1},
		{"with one they are joined", 1, []Option{WithResolver(SetUnion(' '))}, 1, 2},
		{"also when it happens again", 3, []Option{WithResolver(SetUnion(' '))}, 1, 4},
		{"in a bounded number of rounds", 99, []Option{WithResolver(SetUnion(' '))}, 2, 6},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 1)
				b, key := f.client(nil).Bucket("default"), []byte("cart")
				f.intrude(key, tc.writes)
				calls := 0
				r, err := b.Update(t.Context(), key, func(s []Sibling) ([]byte, error) {
					calls++
					return adding("mine")(s)
				}, tc.options...)
				if err != nil || r.SiblingCount != tc.count || calls != 1 {
					t.Errorf("%d siblings, want %d; fn was called %d times; %v", r.SiblingCount, tc.count,
						calls, err)
				}
				if n := len(f.requests(wire.MethodPut)); n != tc.puts {
					t.Errorf("%d puts, want %d", n, tc.puts)
				}
				if tc.count == 1 {
					if got := oneValue(t, b, key); strings.Count(got, "x") != tc.writes ||
						!strings.Contains(got, "mine ") {
						t.Errorf("the cart has %q", got)
					}
				}
			})
		})
	}
}

func TestManyUpdatesAtOnceLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		b, key := f.client(nil).Bucket("default"), []byte("cart")
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := b.Update(t.Context(), key, adding(fmt.Sprintf("e%02d", i)),
					WithResolver(SetUnion(' ')))
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, err := b.Update(t.Context(), key, adding("last"), WithResolver(SetUnion(' '))); err != nil {
			t.Fatal(err)
		}
		if got := strings.Fields(oneValue(t, b, key)); len(got) != 21 {
			t.Errorf("the cart has %v", got)
		}
	})
}

// What fn returned must never be stored twice.
func TestAnUpdateOfUnknownOutcomeDoesNotBeginAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.onData(func(_ *fakeNode, call *rpc.Call, s seen) bool {
			if s.method != wire.MethodPut {
				return false
			}
			call.ReplyError("QUORUM: scripted")
			return true
		})
		calls := 0
		_, err := f.client(nil).Bucket("default").Update(t.Context(), []byte("k"),
			func([]Sibling) ([]byte, error) { calls++; return nil, nil })
		if !errors.Is(err, ErrQuorum) || OutcomeOf(err) != OutcomeUnknown || calls != 1 {
			t.Errorf("%v after %d calls of fn", err, calls)
		}
		ids := make(map[RequestID]bool)
		for _, s := range f.requests(wire.MethodPut) {
			ids[s.request] = true
		}
		if len(ids) != 1 {
			t.Errorf("%d request ids", len(ids))
		}
	})
}

func TestAnUpdateReadsAgainWhereSiblingsKeepItOut(t *testing.T) {
	for _, refusals := range []int{1, 100} {
		t.Run(fmt.Sprint(refusals), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 1)
				puts := 0
				f.onData(func(_ *fakeNode, call *rpc.Call, s seen) bool {
					if s.method == wire.MethodPut {
						puts++
					}
					if s.method != wire.MethodPut || puts > refusals {
						return false
					}
					call.ReplyError("TOO_MANY_SIBLINGS: scripted")
					return true
				})
				calls := 0
				_, err := f.client(nil).Bucket("default").Update(t.Context(), []byte("k"),
					func([]Sibling) ([]byte, error) { calls++; return nil, nil })
				switch {
				case refusals == 1 && (err != nil || calls != 2):
					t.Errorf("%v after %d calls", err, calls)
				case refusals > 1 && (!errors.Is(err, ErrTooManySiblings) || calls != maxRereads+1):
					t.Errorf("%v after %d calls", err, calls)
				}
			})
		})
	}
}

func TestErrorsOfTheFunctionAndTheResolverAreHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		b, key := f.client(nil).Bucket("default"), []byte("k")
		mine := errors.New("mine")
		keep := func([]Sibling) ([]byte, error) { return nil, fmt.Errorf("so: %w", ErrUnchanged) }
		fails := func([]Sibling) ([]byte, error) { return nil, mine }
		if r, err := b.Update(t.Context(), key, keep); err != nil || r.SiblingCount != 0 {
			t.Errorf("nothing to change: %+v, %v", r, err)
		}
		if _, err := b.Update(t.Context(), key, fails); err != mine {
			t.Errorf("got %v", err)
		}
		// An error that looks like one of a put is fn's all the same.
		theirs := &Error{Code: wire.CodeTooManySiblings}
		calls := 0
		_, err := b.Update(t.Context(), key, func([]Sibling) ([]byte, error) {
			calls++
			return nil, theirs
		})
		if err != error(theirs) || calls != 1 {
			t.Errorf("got %v after %d calls", err, calls)
		}
		if n := len(f.requests(wire.MethodPut)); n != 0 {
			t.Errorf("%d puts", n)
		}
		for range 2 {
			if _, err := b.Put(t.Context(), key, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Update(t.Context(), key, adding("a"), WithResolver(fails)); err != mine {
			t.Errorf("the resolver's: got %v", err)
		}
	})
}

func TestTimeBoundsAnUpdateAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.follow(fine, silent, silent)
		began := time.Now()
		_, err := f.client(nil).Bucket("default").Update(t.Context(), []byte("k"), adding("a"),
			WithTimeout(time.Second))
		if took := time.Since(began); !errors.Is(err, ErrTimeout) || took != time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestResolvers(t *testing.T) {
	at := func(ms int64, v string) Sibling {
		return Sibling{Value: []byte(v), Written: time.UnixMilli(ms)}
	}
	longest := Merging(
		func(b []byte) (string, error) {
			if len(b) == 0 {
				return "", errors.New("empty")
			}
			return string(b), nil
		},
		func(a, b string) string {
			if len(a) >= len(b) {
				return a
			}
			return b
		},
		func(s string) ([]byte, error) { return []byte(s), nil },
	)
	cases := []struct {
		name    string
		resolve Resolver
		in      []Sibling
		want    string
		fails   bool
	}{
		{"latest of one", LatestByTimestamp, []Sibling{at(1, "a")}, "a", false},
		{"latest", LatestByTimestamp, []Sibling{at(1, "a"), at(3, "b"), at(2, "c")}, "b", false},
		{"greater of equal times", LatestByTimestamp, []Sibling{at(1, "a"), at(1, "b")}, "b", false},
		{"union", SetUnion('\n'), []Sibling{at(1, "b\na\n"), at(2, "c\na")}, "a\nb\nc\n", false},
		{"union of nothing", SetUnion('\n'), []Sibling{at(1, ""), at(2, "\n\n")}, "", false},
		{"merging", longest, []Sibling{at(1, "a"), at(2, "ccc"), at(3, "bb")}, "ccc", false},
		{"merging what can not be decoded", longest, []Sibling{at(1, "a"), at(2, "")}, "", true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.resolve(tc.in)
			if (err != nil) != tc.fails || string(got) != tc.want {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
			if tc.fails {
				return
			}
			for i, j := 0, len(tc.in)-1; i < j; i, j = i+1, j-1 {
				tc.in[i], tc.in[j] = tc.in[j], tc.in[i]
			}
			turned, err := tc.resolve(tc.in)
			if diff := cmp.Diff(got, turned); diff != "" || err != nil {
				t.Errorf("in the other order: %s, %v", diff, err)
			}
		})
	}
}
