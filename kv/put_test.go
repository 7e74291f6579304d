// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/vclock"
)

// An owner's own actor has the number 9: drawn objects do not use it.
const owner = 9

func TestPutOverwritesExactlyWhatItsWriterHadSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawObject(t, true)
		seen := drawObject(t, true).Context
		before := clone(o)
		v := value(dot(owner, rapid.Uint64Range(1, 5).Draw(t, "counter")))
		v.Fence = o.Fence
		v = v.Sealed()
		want := []vclock.Dot{v.Dot}
		for _, old := range o.Versions {
			if !seen.Contains(old.Dot) {
				want = append(want, old.Dot)
			}
		}
		got := put(t, o, v, seen)
		checkDots(t, "put", got, want...)
		if context := o.Context.Join(seen).Fold(v.Dot); !got.Context.Equal(context) {
			t.Fatalf("the context is %s, want %s", got.Context, context)
		}
		if kept, found := got.Find(v.Dot); !found || string(kept.Value) != string(v.Value) {
			t.Fatalf("the write itself is not there: %s", show(got))
		}
		for _, old := range o.Versions {
			if kept, found := got.Find(old.Dot); found && !sameVersion(kept, old) {
				t.Fatalf("%s was kept, but changed", old.Dot)
			}
		}
		checkSame(t, "operand", o, before)
		if !got.Dominates(o) {
			t.Fatalf("%s is no step upwards from %s", show(got), show(o))
		}
	})
}

// The context of a writer covers the version it wrote and what it had seen, and no
// other version that is there, nor one that a concurrent writer may still bring.
func TestAWritersContextCoversNoVersionItDidNotRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawObject(t, true)
		seen := drawObject(t, true).Context
		v := value(dot(owner, 7))
		v.Fence = o.Fence
		after := put(t, o, v.Sealed(), seen)
		got := after.WriterContext(seen, v.Dot)
		want := seen.Add(v.Dot)
		if len(after.Versions) == 1 {
			want = after.Context
		}
		if !got.Equal(want) {
			t.Fatalf("%s in %s: context %s, want %s", seen, show(after), got, want)
		}
		for _, other := range after.Versions {
			if other.Dot != v.Dot && got.Contains(other.Dot) {
				t.Fatalf("%s covers %s, which its writer never read", got, other.Dot)
			}
		}
	})
}

func TestAWriterWhoseVersionIsNotTheOneLeftGetsNoMoreThanItsDot(t *testing.T) {
	seen := vclock.ContextOf(dot(2, 5))
	o := put(t, Object{}, value(dot(1, 3)), vclock.Context{})
	for name, object := range map[string]Object{
		"another version is left": o,
		"none is left":            {Context: o.Context},
	} {
		want := seen.Add(dot(1, 7))
		if got := object.WriterContext(seen, dot(1, 7)); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestPutRefusesADotThatMayHaveBeenIssuedBefore(t *testing.T) {
	o := put(t, Object{}, value(dot(1, 3)), vclock.Context{})
	o = put(t, o, value(dot(1, 8)), o.Context)
	for _, tc := range []struct {
		name string
		o    Object
		d    vclock.Dot
		seen vclock.Context
	}{
		{"a version of this dot is there", o, dot(1, 8), vclock.Context{}},
		{"a version of this dot was there", o, dot(1, 3), vclock.Context{}},
		{"the counter went back", o, dot(1, 5), vclock.Context{}},
		{"the writer claims to have seen it", o, dot(1, 9), vclock.ContextOf(dot(1, 9))},
		{"the writer claims all before it and it", o, dot(1, 9), vclock.VectorOf(dot(1, 9))},
		{"the writer claims the future", o, dot(1, 9), vclock.ContextOf(dot(1, 10))},
		{"the writer claims the future of a new key", Object{}, dot(1, 9),
			vclock.VectorOf(dot(1, math.MaxUint64))},
		{"no dot", Object{}, vclock.Dot{}, vclock.Context{}},
		{"no counter", Object{}, dot(1, 0), vclock.Context{}},
		{"a counter that can not be stored", Object{}, dot(1, vclock.MaxCounter+1),
			vclock.Context{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := clone(tc.o)
			got, err := tc.o.Put(value(tc.d), tc.seen)
			if !errors.Is(err, ErrDotReused) || !same(got, Object{}) {
				t.Errorf("got %s, %v", show(got), err)
			}
			checkSame(t, "operand", tc.o, before)
		})
	}
	put(t, o, value(dot(1, 9)), vclock.VectorOf(dot(1, 8), dot(2, 100)))
	put(t, Object{}, value(dot(1, vclock.MaxCounter)), vclock.Context{})
}

func TestPutRefusesAFenceBelowTheObjects(t *testing.T) {
	fenced := func(d vclock.Dot, f Fence) Version {
		v := value(d)
		v.Fence = f
		return v.Sealed()
	}
	o := put(t, Object{}, fenced(dot(1, 1), 5), vclock.Context{})
	for _, f := range []Fence{0, 4} {
		got, err := o.Put(fenced(dot(1, 2), f), o.Context)
		if !errors.Is(err, ErrFenced) || !same(got, Object{}) {
			t.Errorf("fence %d: got %s, %v", f, show(got), err)
		}
	}
	_, err := Object{Fence: 5}.Put(fenced(dot(1, 2), 4), vclock.Context{})
	if !errors.Is(err, ErrFenced) {
		t.Errorf("a floor without a write: %v", err)
	}
	equal := put(t, o, fenced(dot(1, 2), 5), vclock.Context{})
	checkDots(t, "an equal fence", equal, dot(1, 1), dot(1, 2))
	higher := put(t, o, fenced(dot(1, 2), 6), vclock.Context{})
	checkDots(t, "a higher fence", higher, dot(1, 2))
	if !higher.Context.Contains(dot(1, 1)) || higher.Fence != 6 {
		t.Errorf("the higher fence forgot the lower: %s", show(higher))
	}
	checkSame(t, "the lower comes again", Merge(higher, o), higher)
}

// siblings has n versions of size bytes each, by blind puts or, beyond the limits,
// as merges bring them.
func siblings(t rapid.TB, n, size int) Object {
	t.Helper()
	var o Object
	for i := range n {
		one := put(t, Object{}, text(dot(20+i, 1), string(make([]byte, size))), vclock.Context{})
		o = Merge(o, one)
	}
	return o
}

func TestAHundredVersionsAreTheMostThatAPutMayLeave(t *testing.T) {
	for _, tc := range []struct {
		name    string
		before  int
		covered int
		want    error
	}{
		{"the hundredth", MaxVersions - 1, 0, nil},
		{"one too many", MaxVersions, 0, ErrTooManySiblings},
		{"at the limit, one overwritten", MaxVersions, 1, nil},
		{"merges brought more, and it overwrites too few", MaxVersions + 50, 50,
			ErrTooManySiblings},
		{"merges brought more, and it overwrites enough", MaxVersions + 50, 51, nil},
		{"merges brought more, and it has read them all", MaxVersions + 50, MaxVersions + 50, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := siblings(t, tc.before, 1)
			seen := vclock.ContextOf(dotsOf(o)[:tc.covered]...)
			got, err := o.Put(value(dot(owner, 1)), seen)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			want := tc.before - tc.covered + 1
			if err != nil {
				want = 0
			}
			if len(got.Versions) != want {
				t.Errorf("%d versions, want %d", len(got.Versions), want)
			}
		})
	}
}

func TestAMebibyteIsTheMostThatAPutMayLeaveUnlessItShrinksTheObject(t *testing.T) {
	const size = 128 << 10
	// room is what a put may still bring to n such siblings.
	room := func(n int) int {
		with := put(t, siblings(t, n, size), text(dot(owner, 1), ""), vclock.Context{})
		return MaxObject - with.Size()
	}
	for _, tc := range []struct {
		name            string
		before, covered int
		size            int
		want            error
	}{
		{"exactly full", 7, 0, room(7), nil},
		{"one byte more", 7, 0, room(7) + 1, ErrTooLarge},
		{"as many versions as before", 9, 1, size, ErrTooLarge},
		{"fewer versions than before", 10, 2, size, nil},
		{"all read", 9, 9, MaxValue, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := siblings(t, tc.before, size)
			seen := vclock.ContextOf(dotsOf(o)[:tc.covered]...)
			got, err := o.Put(text(dot(owner, 1), string(make([]byte, tc.size))), seen)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err != nil && !same(got, Object{}) {
				t.Error("a refused put returned an object all the same")
			}
			if err == nil && got.Size() > MaxObject && len(got.Versions) >= len(o.Versions) {
				t.Errorf("%d bytes are left", got.Size())
			}
		})
	}
}

func TestNoKeyIsBrickedByWhatMergesBring(t *testing.T) {
	o := siblings(t, 300, 8<<10)
	if o.Size() <= MaxObject {
		t.Fatal("the object is not over the limit")
	}
	got := put(t, o, text(dot(owner, 1), string(make([]byte, MaxValue))), o.Context)
	checkDots(t, "a write with the whole context", got, dot(owner, 1))
	checkDots(t, "a delete with the whole context",
		put(t, o, tombstone(dot(owner, 1)), o.Context), dot(owner, 1))
}

func ExampleObject_Put() {
	store, _ := vclock.NewActor(1, 0xa)
	write := func(counter uint64, s string) Version {
		d := vclock.Dot{Actor: store, Counter: counter}
		return Version{Dot: d, Kind: KindValue, Value: []byte(s)}.Sealed()
	}
	list := func(o Object) {
		for _, v := range o.Versions {
			fmt.Printf("%s ", v.Value)
		}
		fmt.Println(o.Context)
	}
	var o Object
	o, _ = o.Put(write(1, "red"), vclock.Context{})
	read := o.Context
	o, _ = o.Put(write(5, "green"), read) // its writer had read red
	list(o)
	o, _ = o.Put(write(9, "blue"), read) // its writer had not read green
	list(o)
	// Output:
	// green {1.00000000000a:1..5}
	// green blue {1.00000000000a:1..9}
}

func ExampleMerge() {
	a, _ := vclock.NewActor(1, 0xa)
	b, _ := vclock.NewActor(2, 0xb)
	red := Version{Dot: vclock.Dot{Actor: a, Counter: 1}, Kind: KindValue, Value: []byte("red")}
	blue := Version{Dot: vclock.Dot{Actor: b, Counter: 4}, Kind: KindValue, Value: []byte("blue")}
	var left, right Object
	left, _ = left.Put(red.Sealed(), vclock.Context{})
	right, _ = right.Put(blue.Sealed(), vclock.Context{})
	both := Merge(left, right)
	fmt.Println(len(both.Versions), both.Dominates(left), left.Dominates(both))

	gone := Version{Dot: vclock.Dot{Actor: a, Counter: 2}, Kind: KindTombstone}
	after, _ := both.Put(gone.Sealed(), both.Context)
	fmt.Println(len(Merge(after, right).Live(0)))
	// Output:
	// 2 true false
	// 0
}
