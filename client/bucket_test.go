// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// values are the siblings' values as strings.
func values(list []Sibling) []string {
	var out []string
	for _, s := range list {
		out = append(out, string(s.Value))
	}
	return out
}

func TestAValueIsWrittenReadOverwrittenAndDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		b := f.client(nil).Bucket("default")
		ctx, key := t.Context(), []byte("cart")

		r, err := b.Get(ctx, key)
		if err != nil || r.Found {
			t.Fatalf("before the first put: %+v, %v", r, err)
		}
		if _, err := r.Value(); !errors.Is(err, ErrNotFound) {
			t.Errorf("Value of nothing: %v", err)
		}
		put, err := b.Put(ctx, key, []byte("a"))
		if err != nil || put.SiblingCount != 1 || put.RequestID.IsZero() {
			t.Fatalf("put: %+v, %v", put, err)
		}
		if _, err := b.Put(ctx, key, nil, WithContext(put.Context)); err != nil {
			t.Fatal(err)
		}
		r, err = b.Get(ctx, key)
		v, verr := r.Value()
		if err != nil || verr != nil || v == nil || len(v) != 0 {
			t.Fatalf("the empty value: %q, %v, %v", v, err, verr)
		}
		if _, err := b.Delete(ctx, key, WithContext(r.Context)); err != nil {
			t.Fatal(err)
		}
		if r, err = b.Get(ctx, key); err != nil || r.Found || len(r.Context) == 0 {
			t.Fatalf("after the delete: %+v, %v", r, err)
		}
	})
}

func TestBlindPutsMakeSiblings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		b := f.client(nil).Bucket("default")
		ctx, key := t.Context(), []byte("cart")
		if _, err := b.Put(ctx, key, []byte("a")); err != nil {
			t.Fatal(err)
		}
		put, err := b.Put(ctx, key, []byte("b"), ReturnSiblings())
		if err != nil || put.SiblingCount != 2 {
			t.Fatalf("%+v, %v", put, err)
		}
		if diff := cmp.Diff([]string{"a", "b"}, values(put.Siblings)); diff != "" {
			t.Error(diff)
		}
		r, err := b.Get(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Value(); !errors.Is(err, ErrSiblings) {
			t.Errorf("Value of two: %v", err)
		}
		if _, err := b.Put(ctx, key, []byte("ab"), WithContext(put.Context)); err != nil {
			t.Fatal(err)
		}
		if r, err = b.Get(ctx, key); err != nil || len(r.Siblings) != 1 {
			t.Errorf("after the joining put: %v, %v", values(r.Siblings), err)
		}
	})
}

func TestRequestsThatThisSideCanTellAreWrongAreNotSent(t *testing.T) {
	long := []byte(strings.Repeat("x", wire.MaxToken+1))
	key := []byte("k")
	cases := []struct {
		name string
		do   func(context.Context, *Client, *Bucket) error
		want error
	}{
		{"empty key", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Get(ctx, nil)
			return err
		}, ErrInvalid},
		{"empty key of a list", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.GetMany(ctx, [][]byte{key, {}})
			return err
		}, ErrInvalid},
		{"no bucket", func(ctx context.Context, c *Client, _ *Bucket) error {
			_, err := c.Bucket("").Put(ctx, key, key)
			return err
		}, ErrInvalid},
		{"an option of another request", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Get(ctx, key, WithW(All))
			return err
		}, ErrInvalid},
		{"a zero option", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Get(ctx, key, Option{})
			return err
		}, ErrInvalid},
		{"r of 0", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Get(ctx, key, WithR(Replicas(0)))
			return err
		}, ErrInvalid},
		{"r of 17", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Get(ctx, key, WithR(Replicas(17)))
			return err
		}, ErrInvalid},
		{"no time to live", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Put(ctx, key, key, WithTTL(0))
			return err
		}, ErrInvalid},
		{"no endpoint", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Put(ctx, key, key, WithEndpoint("n1"))
			return err
		}, ErrInvalid},
		{"long key", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Get(ctx, long[:4097])
			return err
		}, ErrTooLarge},
		{"long value", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Put(ctx, key, make([]byte, 512<<10+1))
			return err
		}, ErrTooLarge},
		{"long context", func(ctx context.Context, _ *Client, b *Bucket) error {
			_, err := b.Put(ctx, key, key, WithContext(long))
			return err
		}, ErrTooLarge},
		{"long bucket", func(ctx context.Context, c *Client, _ *Bucket) error {
			_, err := c.Bucket(string(long[:256])).Get(ctx, key)
			return err
		}, ErrTooLarge},
		{"a feature that the node lacks", func(ctx context.Context, c *Client, _ *Bucket) error {
			return c.NodeStop(ctx, "n1")
		}, ErrUnsupported},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 1)
				f.onData(func(_ *fakeNode, _ *rpc.Call, s seen) bool {
					t.Errorf("%s was sent", s.method)
					return false
				})
				c := f.client(nil)
				err := tc.do(t.Context(), c, c.Bucket("default"))
				if !errors.Is(err, tc.want) || OutcomeOf(err) != OutcomeNone {
					t.Errorf("got %v, want %v", err, tc.want)
				}
			})
		})
	}
}

func TestAnErrorKeepsItsKeyWhenTheCallerUsesTheBufferAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, 1).client(nil)
		key := []byte("key")
		_, err := c.Bucket("default").Get(t.Context(), key, WithLimit(1))
		copy(key, "xxx")
		var told *Error
		if !errors.As(err, &told) || string(told.Key) != "key" {
			t.Errorf("got %v, want the key as it was", err)
		}
	})
}

func TestTheNodesOwnLimitsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.limits.Value = 3
		b := f.client(nil).Bucket("default")
		if _, err := b.Put(t.Context(), []byte("k"), []byte("abc")); err != nil {
			t.Error(err)
		}
		_, err := b.Put(t.Context(), []byte("k"), []byte("abcd"))
		if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "4 bytes, at most 3") {
			t.Error(err)
		}
	})
}

// pages makes a get answer n siblings one by one, with a cursor that belongs to version.
func pages(n int, version func() string) func(*fakeNode, *rpc.Call, seen) bool {
	return func(_ *fakeNode, call *rpc.Call, s seen) bool {
		if s.method != wire.MethodGet {
			return false
		}
		now, page := version(), 0
		if s.skip != "" {
			of := strings.SplitN(s.skip, "/", 2)
			if of[0] != now {
				call.ReplyError("INVALID: the key has changed since the page before; start again")
				return true
			}
			page = len(of[1])
		}
		r := wire.GetResult{
			Found: true, RingVersion: 1, Siblings: []wire.Sibling{{Value: []byte{byte('a' + page)}}},
		}
		if r.More = page+1 < n; r.More {
			r.Skip = []byte(now + "/" + strings.Repeat("x", page+1))
		} else {
			r.Context = []byte("context of " + now)
		}
		call.Reply(func(dst []byte) []byte { return wire.AppendGetResult(dst, &r) })
		return true
	}
}

func TestPagesOfOneKeyAreReadFromOneNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.onData(pages(4, func() string { return "v1" }))
		r, err := f.client(nil).Bucket("default").Get(t.Context(), []byte("k"))
		if err != nil || string(r.Context) != "context of v1" {
			t.Fatalf("%+v, %v", r, err)
		}
		if diff := cmp.Diff([]string{"a", "b", "c", "d"}, values(r.Siblings)); diff != "" {
			t.Error(diff)
		}
		for _, s := range f.requests(wire.MethodGet) {
			if s.node != r.Node {
				t.Errorf("a page was asked of %s, the answer is of %s", s.node, r.Node)
			}
		}
	})
}

func TestPagesOfAKeyThatChangesAreReadAnew(t *testing.T) {
	cases := []struct {
		name    string
		changes int // how many of the first reads are disturbed, each after one page
		want    error
		gets    int
	}{
		{"once", 1, nil, 2 + 3},
		{"three times", 3, nil, 3*2 + 3},
		{"for ever", 1 << 30, ErrChanged, 4 * 2},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 1)
				asked := 0
				f.onData(pages(3, func() string {
					asked++
					return strings.Repeat("v", 1+min(asked/2, tc.changes))
				}))
				r, err := f.client(nil).Bucket("default").Get(t.Context(), []byte("k"))
				if !errors.Is(err, tc.want) {
					t.Fatalf("got %v, want %v", err, tc.want)
				}
				if err == nil && len(r.Siblings) != 3 {
					t.Errorf("%d siblings, want 3", len(r.Siblings))
				}
				if got := len(f.requests(wire.MethodGet)); got != tc.gets {
					t.Errorf("%d gets, want %d", got, tc.gets)
				}
			})
		})
	}
}

func TestPagesWithoutEndAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.onData(func(_ *fakeNode, call *rpc.Call, _ seen) bool {
			r := wire.GetResult{Found: true, More: true, Skip: []byte("s")}
			call.Reply(func(dst []byte) []byte { return wire.AppendGetResult(dst, &r) })
			return true
		})
		_, err := f.client(nil).Bucket("default").Get(t.Context(), []byte("k"))
		if codeOf(err) != CodeBadAnswer || !errors.Is(err, ErrInternal) {
			t.Error(err)
		}
	})
}

func TestAnAnswerThatMakesNoSenseLeavesAWriteUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.onData(func(_ *fakeNode, call *rpc.Call, _ seen) bool {
			call.Reply(func(dst []byte) []byte { return append(dst, 0x05) })
			return true
		})
		b := f.client(nil).Bucket("default")
		_, getErr := b.Get(t.Context(), []byte("k"))
		_, putErr := b.Put(t.Context(), []byte("k"), nil)
		_, delErr := b.Delete(t.Context(), []byte("k"))
		for _, tc := range []struct {
			err  error
			want Outcome
		}{{getErr, OutcomeNone}, {putErr, OutcomeUnknown}, {delErr, OutcomeUnknown}} {
			if !errors.Is(tc.err, ErrInternal) || OutcomeOf(tc.err) != tc.want {
				t.Errorf("%v: outcome %v, want %v", tc.err, OutcomeOf(tc.err), tc.want)
			}
		}
	})
}
