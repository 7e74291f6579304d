// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// answer is what a scripted node does with one data request: answer with a code, or
// one of the words below.
type answer string

const (
	fine   answer = "fine"   // carries it out
	hangs  answer = "hangs"  // the connection ends without an answer
	silent answer = "silent" // no answer at all
)

// follow makes the nodes answer in the order of the list, whichever is asked; fine after
// its end.
func (f *fake) follow(list ...answer) {
	var mu sync.Mutex
	f.onData(func(n *fakeNode, call *rpc.Call, _ seen) bool {
		mu.Lock()
		a := fine
		if len(list) > 0 {
			a, list = list[0], list[1:]
		}
		mu.Unlock()
		switch a {
		case fine:
			return false
		case hangs:
			f.hangUp(n)
		case silent:
		default:
			call.ReplyError(string(a) + ": scripted")
		}
		return true
	})
}

// operations are one of each kind that carries data.
func operations() map[string]func(context.Context, *Bucket, []byte, ...Option) (Served, error) {
	return map[string]func(context.Context, *Bucket, []byte, ...Option) (Served, error){
		wire.MethodGet: func(ctx context.Context, b *Bucket, key []byte, o ...Option) (Served, error) {
			r, err := b.Get(ctx, key, o...)
			return r.Served, err
		},
		wire.MethodPut: func(ctx context.Context, b *Bucket, key []byte, o ...Option) (Served, error) {
			r, err := b.Put(ctx, key, []byte("v"), o...)
			return r.Served, err
		},
		wire.MethodDelete: func(ctx context.Context, b *Bucket, key []byte, o ...Option) (Served, error) {
			r, err := b.Delete(ctx, key, o...)
			return r.Served, err
		},
	}
}

// what a client does about an answer, by hand from the table of docs/protocol.md.
type reaction struct {
	again bool
	same  bool // the next attempt goes to the same node
	pause bool // and not at once
}

var (
	gives     = reaction{}
	later     = reaction{again: true, pause: true}
	elsewhere = reaction{again: true}
	sameLater = reaction{again: true, same: true, pause: true}
	sameNow   = reaction{again: true, same: true}
)

type line struct {
	answer      answer
	read, write reaction
	unknown     bool // a write that fails so may have been stored
	want        error
}

// table has every code, and what can happen to a connection.
var table = []line{
	{"INVALID", gives, gives, false, ErrInvalid},
	{"TOO_LARGE", gives, gives, false, ErrTooLarge},
	{"TOO_MANY_SIBLINGS", gives, gives, false, ErrTooManySiblings},
	{"UNKNOWN_METHOD", gives, gives, false, ErrUnsupported},
	{"UNSUPPORTED_VERSION", gives, gives, false, ErrUnsupported},
	{"UNAUTHENTICATED", gives, gives, false, ErrPermission},
	{"PERMISSION_DENIED", gives, gives, false, ErrPermission},
	{"NO_SUCH_BUCKET", gives, gives, false, ErrNoSuchBucket},
	{"EXISTS", gives, gives, false, ErrExists},
	{"NOT_READY", later, later, false, ErrNotReady},
	{"OVERLOADED", later, later, false, ErrOverloaded},
	{"SHUTTING_DOWN", elsewhere, elsewhere, false, ErrShuttingDown},
	{"UNAVAILABLE", later, later, false, ErrUnavailable},
	{"QUORUM", later, sameLater, true, ErrQuorum},
	{"TIMEOUT", later, sameLater, true, ErrTimeout},
	{"FENCED", gives, gives, false, ErrFenced},
	{"LOCK_HELD", gives, gives, false, ErrLocked},
	{"WAIT_TIMEOUT", gives, gives, false, ErrTimeout},
	{"SESSION_EXPIRED", gives, gives, false, ErrSessionLost},
	{"LOCK_LOST", gives, gives, false, ErrLockLost},
	{"LOCK_CONFLICT", gives, gives, false, ErrLockConflict},
	{"NO_LEADER", later, later, false, ErrNoLeader},
	{"CORRUPT", gives, gives, true, ErrInternal},
	{"INTERNAL", gives, gives, true, ErrInternal},
	{"A_CODE_OF_A_LATER_RELEASE", gives, gives, true, nil},
	{hangs, elsewhere, sameNow, true, ErrLost},
	{silent, elsewhere, sameNow, true, ErrTimeout},
}

func (l line) of(method string) (reaction, Outcome) {
	if method == wire.MethodGet {
		return l.read, OutcomeNone
	}
	if l.unknown {
		return l.write, OutcomeUnknown
	}
	return l.write, OutcomeNone
}

func TestTheTableHasEveryCode(t *testing.T) {
	has := make(map[answer]bool)
	for _, l := range table {
		has[l.answer] = true
	}
	for _, code := range wire.Codes() {
		if !has[answer(code)] {
			t.Errorf("%s has no line", code)
		}
	}
}

// Each code once, then all is well: where and when is the request sent again?
func TestEachCodeIsHeededAsTheTableSays(t *testing.T) {
	for _, l := range table {
		for method, do := range operations() {
			t.Run(fmt.Sprintf("%s/%s", l.answer, method), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake(t, 3)
					f.follow(l.answer)
					b := f.client(nil).Bucket("default")
					served, err := do(t.Context(), b, []byte("k"))
					want, outcome := l.of(method)
					sent := f.requests(method)
					if !want.again {
						checkGivenUp(t, err, l, outcome, len(sent))
						return
					}
					if err != nil || len(sent) != 2 || served.Attempts != 2 {
						t.Fatalf("%v after %d requests, %d attempts", err, len(sent), served.Attempts)
					}
					if same := sent[0].node == sent[1].node; same != want.same {
						t.Errorf("asked %s, then %s", sent[0].node, sent[1].node)
					}
					pause := sent[1].at.Sub(sent[0].at)
					if l.answer == silent {
						pause -= 2 * time.Second
					}
					if want.pause != (pause >= 10*time.Millisecond) || pause > 20*time.Millisecond {
						t.Errorf("sent again after %v", pause)
					}
					if sent[0].request != sent[1].request {
						t.Error("the request id has changed")
					}
				})
			})
		}
	}
}

func checkGivenUp(t *testing.T, err error, l line, outcome Outcome, sent int) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || sent != 1 {
		t.Fatalf("%v after %d requests, want 1 and an Error", err, sent)
	}
	if e.Code != Code(l.answer) || e.Text != "scripted" || e.Outcome != outcome ||
		!strings.HasPrefix(e.Node, "n") || e.Attempts != 1 {
		t.Errorf("%+v, want outcome %v", e, outcome)
	}
	if l.want != nil && !errors.Is(err, l.want) {
		t.Errorf("%v is not %v", err, l.want)
	}
}

// Each code for ever: attempts and time are bounded, and the outcome is told.
func TestAttemptsEndAndTellTheOutcome(t *testing.T) {
	for _, l := range table {
		for method, do := range operations() {
			t.Run(fmt.Sprintf("%s/%s", l.answer, method), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake(t, 3)
					all := make([]answer, 100)
					for i := range all {
						all[i] = l.answer
					}
					f.follow(all...)
					b := f.client(nil).Bucket("default")
					began := time.Now()
					_, err := do(t.Context(), b, []byte("k"))
					took := time.Since(began)
					want, outcome := l.of(method)
					var e *Error
					if !errors.As(err, &e) || e.Outcome != outcome {
						t.Fatalf("%v, want outcome %v", err, outcome)
					}
					if l.want != nil && !errors.Is(err, l.want) {
						t.Errorf("%v is not %v", err, l.want)
					}
					sent := f.requests(method)
					switch {
					case !want.again && len(sent) != 1:
						t.Errorf("sent %d times", len(sent))
					case l.answer == silent:
						if len(sent) != 3 || took != 5*time.Second {
							t.Errorf("sent %d times in %v, want 3 in 5s", len(sent), took)
						}
					case want.again && (e.Attempts != 8 || len(sent) < 7):
						// Of a connection that does not last one attempt may find it gone.
						t.Errorf("%d attempts, sent %d times, want 8", e.Attempts, len(sent))
					}
					for _, s := range sent {
						if s.request != sent[0].request {
							t.Fatal("the request id has changed")
						}
					}
				})
			})
		}
	}
}

// Any sequence of answers: the outcome is unknown if and only if some attempt's was.
func TestNoAnswerTurnsUnknownIntoNone(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			list := make([]answer, 8)
			unknown := make(map[answer]bool)
			for i := range list {
				l := table[rng.IntN(len(table))]
				list[i] = l.answer
				unknown[l.answer] = l.unknown
			}
			f := newFake(t, 3)
			f.follow(list...)
			b := f.client(nil).Bucket("default")
			served, err := b.Put(t.Context(), []byte("k"), []byte("v"))
			sent := f.requests(wire.MethodPut)
			want, moved := OutcomeNone, false
			for i, s := range sent {
				if i < len(list) && unknown[list[i]] {
					want = OutcomeUnknown
				}
				moved = moved || s.node != sent[len(sent)-1].node &&
					i < len(list) && unknown[list[i]]
			}
			if err != nil && OutcomeOf(err) != want {
				t.Errorf("seed %d: %v answered %v: %v, want outcome %v", seed, list[:len(sent)],
					err, OutcomeOf(err), want)
			}
			if err == nil && served.Moved != moved {
				t.Errorf("seed %d: Moved is %t after %v", seed, served.Moved, list[:len(sent)-1])
			}
		})
	}
}

func TestAWriteGoesToItsCoordinatorOnceMoreAndThenElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.follow("QUORUM", "QUORUM", hangs, hangs, "TIMEOUT")
		r, err := f.client(nil).Bucket("default").Put(t.Context(), f.keyOf(0), nil)
		if err != nil || !r.Moved || r.Attempts != 6 {
			t.Fatalf("%+v, %v", r, err)
		}
		var nodes []string
		for _, s := range f.requests(wire.MethodPut) {
			nodes = append(nodes, s.node)
		}
		if got := strings.Join(nodes, " "); got != "n1 n1 n2 n2 n3 n3" {
			t.Errorf("asked %s", got)
		}
	})
}

// A write that may have been minted at two other nodes, and comes back to the first.
func TestAWriteThatComesBackHasMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.follow("QUORUM", "QUORUM", "TIMEOUT", "TIMEOUT", "QUORUM", "QUORUM")
		r, err := f.client(nil).Bucket("default").Put(t.Context(), f.keyOf(0), nil)
		sent := f.requests(wire.MethodPut)
		if err != nil || len(sent) != 7 || sent[6].node != sent[0].node || !r.Moved {
			t.Errorf("%+v, %v after %d requests", r, err, len(sent))
		}
	})
}

func TestTheErrorTellsOfTheAttemptThatMattersMost(t *testing.T) {
	cases := []struct {
		name    string
		list    []answer
		want    error
		outcome Outcome
	}{
		{"an unknown one, not a later refusal", []answer{"QUORUM", "INVALID"}, ErrQuorum,
			OutcomeUnknown},
		{"the last of several unknown ones", []answer{"QUORUM", hangs, "INVALID"}, ErrLost,
			OutcomeUnknown},
		{"the last refusal", []answer{"OVERLOADED", "NO_SUCH_BUCKET"}, ErrNoSuchBucket, OutcomeNone},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 3)
				f.follow(tc.list...)
				_, err := f.client(nil).Bucket("default").Put(t.Context(), []byte("k"), nil)
				if !errors.Is(err, tc.want) || OutcomeOf(err) != tc.outcome {
					t.Errorf("%v, outcome %v; want %v, %v", err, OutcomeOf(err), tc.want, tc.outcome)
				}
			})
		})
	}
}

func TestARequestIDOfTheCallerIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		c := f.client(nil)
		b, id := c.Bucket("default"), c.NewRequestID()
		f.follow("QUORUM")
		r, err := b.Put(t.Context(), []byte("k"), nil, WithRequestID(id))
		if err != nil || r.RequestID != id {
			t.Fatal(r, err)
		}
		for _, s := range f.requests(wire.MethodPut) {
			if s.request != id {
				t.Errorf("%x was sent, want %x", s.request, id)
			}
		}
	})
}

func TestEachWriteDrawsItsOwnRequestID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		b := f.client(nil).Bucket("default")
		had := make(map[RequestID]bool)
		for range 100 {
			r, err := b.Put(t.Context(), []byte("k"), nil, WithTTL(time.Hour))
			if err != nil || had[r.RequestID] {
				t.Fatal(r, err)
			}
			had[r.RequestID] = true
			d, err := b.Delete(t.Context(), []byte("k"))
			if err != nil || had[d.RequestID] {
				t.Fatal(d, err)
			}
			had[d.RequestID] = true
		}
	})
}

func TestAStoppedNodeIsNotStoppedTwice(t *testing.T) {
	for _, a := range []answer{hangs, silent, "TIMEOUT", "INTERNAL"} {
		t.Run(string(a), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 2)
				f.feats = []string{wire.FeatureDev}
				f.follow(a)
				err := f.client(nil).NodeStop(t.Context(), "n2")
				if OutcomeOf(err) != OutcomeUnknown || len(f.requests(wire.MethodNodeStop)) != 1 {
					t.Errorf("%v after %d requests", err, len(f.requests(wire.MethodNodeStop)))
				}
				f.forget()
				f.follow("NOT_READY", "SHUTTING_DOWN")
				if err := f.client(nil).NodeStart(t.Context(), "n2"); err != nil {
					t.Errorf("start, refused twice and then not: %v", err)
				}
			})
		})
	}
}
