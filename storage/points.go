// SPDX-License-Identifier: Apache-2.0

package storage

import "github.com/dyno-kv/dyno/internal/fail"

// The failpoints of a store.
const (
	// PointTake: an operation is about to be taken in. An error refuses it with
	// ErrOverloaded.
	PointTake = "storage/before-take"
	// PointFetch: a key is about to be read from the engine. An error leaves it unreadable.
	PointFetch = "storage/before-fetch"
	// PointApply: the turn of an operation has come. An error is ErrExpired.
	PointApply = "storage/before-apply"
	// PointCommit: a batch is packed, nothing of it is written. An error is a failed write.
	PointCommit = "storage/before-commit"
	// PointPublish: a batch is durable, nobody can read it yet. An error is a failed write.
	PointPublish = "storage/before-publish"
	// PointAnswer: a batch can be read, nobody was answered yet: too late for an error.
	PointAnswer = "storage/before-answer"
)

// Points lists the failpoints of a store.
func Points() []fail.Point {
	return []fail.Point{
		{Name: PointTake, Fails: true},
		{Name: PointFetch, Fails: true},
		{Name: PointApply, Fails: true},
		{Name: PointCommit, Fails: true},
		{Name: PointPublish, Fails: true},
		{Name: PointAnswer},
	}
}
