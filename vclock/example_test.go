// SPDX-License-Identifier: Apache-2.0

package vclock_test

import (
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/vclock"
)

// Two writes of one store, of which the client has read one: the context that it is
// handed for its own write covers what it has read and nothing between.
func ExampleContext_Add() {
	store, _ := vclock.NewActor(1, 0xa)
	read := vclock.VectorOf(vclock.Dot{Actor: store, Counter: 5})
	mine := read.Add(vclock.Dot{Actor: store, Counter: 9})
	fmt.Println(mine)
	fmt.Println(mine.Contains(vclock.Dot{Actor: store, Counter: 7}))
	// Output:
	// {1.00000000000a:1..5 +1.00000000000a:9}
	// false
}

// A store folds its new dot in its own object, where it holds all that came before.
func ExampleContext_Fold() {
	store, _ := vclock.NewActor(1, 0xa)
	object := vclock.VectorOf(vclock.Dot{Actor: store, Counter: 5})
	fmt.Println(object.Fold(vclock.Dot{Actor: store, Counter: 9}))
	// Output: {1.00000000000a:1..9}
}

func ExampleContext_Join() {
	a, _ := vclock.NewActor(1, 0xa)
	b, _ := vclock.NewActor(2, 0xb)
	left := vclock.VectorOf(vclock.Dot{Actor: a, Counter: 2}, vclock.Dot{Actor: b, Counter: 1})
	right := vclock.ContextOf(vclock.Dot{Actor: a, Counter: 3}, vclock.Dot{Actor: b, Counter: 4})
	both := left.Join(right)
	fmt.Println(both, both.Covers(left), left.Covers(both))
	// Output: {1.00000000000a:1..3 2.00000000000b:1..1 +2.00000000000b:4} true false
}

// A token is what clients hold. It opens for the key that it was made for.
func ExampleOpenToken() {
	cluster := [16]byte{1, 2, 3}
	store, _ := vclock.NewActor(1, 0xa)
	seen := vclock.VectorOf(vclock.Dot{Actor: store, Counter: 5})
	token := vclock.AppendToken(nil, vclock.Bind(cluster, 1, []byte("apple")), seen)

	opened, err := vclock.OpenToken(token, vclock.Bind(cluster, 1, []byte("apple")))
	fmt.Println(opened, err)
	_, err = vclock.OpenToken(token, vclock.Bind(cluster, 1, []byte("pear")))
	fmt.Println(errors.Is(err, vclock.ErrToken))
	// Output:
	// {1.00000000000a:1..5} <nil>
	// true
}

func ExampleDecode() {
	store, _ := vclock.NewActor(1, 0xa)
	encoded := vclock.ContextOf(vclock.Dot{Actor: store, Counter: 9}).Append(nil)
	fmt.Printf("%x\n", encoded)
	context, err := vclock.Decode(encoded)
	fmt.Println(context, err)
	_, err = vclock.Decode(encoded[:4])
	fmt.Println(errors.Is(err, vclock.ErrMalformed))
	// Output:
	// 0001000100000000000a09
	// {+1.00000000000a:9} <nil>
	// true
}
