// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"fmt"
	"testing"

	"github.com/dyno-kv/dyno/vclock"
)

// benchObject has n sibling versions of 100 bytes by three owners.
func benchObject(n int) Object {
	var o Object
	for i := range n {
		v := text(dot(1+i%3, uint64(1000+i)), string(make([]byte, 100)))
		next, err := o.Put(v, vclock.Context{})
		if err != nil {
			panic(err)
		}
		o = next
	}
	return o
}

func sizesOf(b *testing.B, run func(b *testing.B, n int)) {
	for _, n := range []int{1, 3, 50} {
		b.Run(fmt.Sprintf("versions=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			run(b, n)
		})
	}
}

// A copy that is behind, as most that arrive.
func BenchmarkMergeOfACopyBehind(b *testing.B) {
	sizesOf(b, func(b *testing.B, n int) {
		old := benchObject(n)
		o, err := old.Put(text(dot(1, 5000), "next"), old.Context)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			_ = Merge(o, old)
		}
	})
}

func BenchmarkMergeOfConcurrentCopies(b *testing.B) {
	sizesOf(b, func(b *testing.B, n int) {
		o := benchObject(n)
		other, err := o.Put(text(dot(4, 1), "other"), vclock.Context{})
		if err != nil {
			b.Fatal(err)
		}
		if o, err = o.Put(text(dot(5, 1), "this"), vclock.Context{}); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			_ = Merge(o, other)
		}
	})
}

func BenchmarkDominates(b *testing.B) {
	sizesOf(b, func(b *testing.B, n int) {
		o := benchObject(n)
		for b.Loop() {
			if !o.Dominates(o) {
				b.Fatal("an object does not dominate itself")
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	sizesOf(b, func(b *testing.B, n int) {
		o := benchObject(n)
		v := text(dot(1, 5000), "next")
		for b.Loop() {
			if _, err := o.Put(v, o.Context); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDigest(b *testing.B) {
	sizesOf(b, func(b *testing.B, n int) {
		o := benchObject(n)
		for b.Loop() {
			_ = o.Digest()
		}
	})
}

func BenchmarkCollapse(b *testing.B) {
	sizesOf(b, func(b *testing.B, n int) {
		o := benchObject(n)
		for i := range o.Versions {
			o.Versions[i].Request[0] = byte(i + 1)
		}
		for b.Loop() {
			_ = o.Collapse()
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{100, 64 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			v := text(dot(1, 1), string(make([]byte, size)))
			for b.Loop() {
				v = v.Sealed()
			}
		})
	}
}
