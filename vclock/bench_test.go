// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"fmt"
	"testing"
)

// benchContext has entries of n actors, each with a detached dot for every fourth.
func benchContext(n int, counter uint64) Context {
	c := Context{}
	for i := range n {
		a, err := NewActor(uint16(i+1), uint64(i)*0x9e3779b9+1)
		if err != nil {
			panic(err)
		}
		c = c.Fold(Dot{a, counter})
		if i%4 == 3 {
			c = c.Add(Dot{a, counter + 2})
		}
	}
	return c
}

func BenchmarkJoin(b *testing.B) {
	for _, n := range []int{1, 3, 16, 128} {
		c := benchContext(n, 1000)
		ahead := c.Fold(Dot{c.vector[0].Actor, 2000})
		aside := benchContext(n+1, 900)
		b.Run(fmt.Sprintf("covered/entries=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = ahead.Join(c)
			}
		})
		b.Run(fmt.Sprintf("concurrent/entries=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = ahead.Join(aside)
			}
		})
	}
}

func BenchmarkFold(b *testing.B) {
	for _, n := range []int{1, 3, 16} {
		c := benchContext(n, 1000)
		d := Dot{c.vector[0].Actor, 1001}
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = c.Fold(d)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 3, 16, 128} {
		c := benchContext(n, 1000)
		buf := make([]byte, 0, c.EncodedSize())
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = c.Append(buf[:0])
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 3, 16, 128} {
		encoded := benchContext(n, 1000).Append(nil)
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(encoded)))
			for b.Loop() {
				if _, err := Decode(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkToken(b *testing.B) {
	c, binding := benchContext(3, 1000), Bind(testCluster, 1, []byte("user:1"))
	token := AppendToken(nil, binding, c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := OpenToken(AppendToken(token[:0], binding, c), binding); err != nil {
			b.Fatal(err)
		}
	}
}
