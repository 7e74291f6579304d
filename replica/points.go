// SPDX-License-Identifier: Apache-2.0

package replica

import "github.com/dyno-kv/dyno/internal/fail"

// The failpoints of a replica. Those of a mint and of a merge are passed in the shard.
const (
	// PointMint: a write has passed all checks and is about to get its dot. An error
	// refuses it with ErrMayNotMint.
	PointMint = "replica/before-mint"
	// PointIncarnation: the first dot of an incarnation is about to be issued. An error is
	// one of the source of chance.
	PointIncarnation = "replica/before-incarnation"
	// PointSends: a dot has been issued, nothing of the write is sent or handed to the
	// store. It has its dot, so an error would mean nothing.
	PointSends = "replica/before-sends"
	// PointRepeat: a retry is about to be answered with the dot of an earlier try. To
	// refuse it would tell a client that nothing was stored.
	PointRepeat = "replica/before-repeat"
	// PointMerge: a copy has passed all checks and is about to be merged. An error is
	// told to whoever sent it.
	PointMerge = "replica/before-merge"
	// PointStored: a copy is durable, its sender has not been told. An error tells it that
	// the copy was not stored.
	PointStored = "replica/before-store-answer"
	// PointRead: a copy was read and is about to be shown. An error is told instead.
	PointRead = "replica/before-read-answer"
)

// Points lists the failpoints of a replica.
func Points() []fail.Point {
	return []fail.Point{
		{Name: PointMint, Fails: true},
		{Name: PointIncarnation, Fails: true},
		{Name: PointSends},
		{Name: PointRepeat},
		{Name: PointMerge, Fails: true},
		{Name: PointStored, Fails: true},
		{Name: PointRead, Fails: true},
	}
}
