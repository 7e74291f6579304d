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
	// PointHint: a hint has passed all checks and is about to be kept. An error is told to
	// whoever sent it.
	PointHint = "replica/before-hint"
	// PointHintStored: a hint is durable, its sender has not been told. An error tells it
	// that the hint was not kept.
	PointHintStored = "replica/before-hint-answer"
	// PointMark: a marker is about to be kept. An error leaves it to anti-entropy.
	PointMark = "replica/before-mark"
	// PointHintDrop: a hint was delivered, durably, and is about to be deleted. An error
	// keeps it.
	PointHintDrop = "replica/before-hint-drop"
	// PointHintDropped: a hint is gone, and who delivered it has not been told: too late for
	// an error.
	PointHintDropped = "replica/before-hint-drop-answer"
	// PointPurgeStep: a step of a purge round is about to be made durable. An error is told to
	// whoever leads the round.
	PointPurgeStep = "replica/before-purge-step"
	// PointPurgeDelete: a tombstone is about to be purged. An error keeps it.
	PointPurgeDelete = "replica/before-purge-delete"
	// PointFence: a fence is set and not durable yet. An error is told instead.
	PointFence = "replica/before-fence-kept"
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
		{Name: PointHint, Fails: true},
		{Name: PointHintStored, Fails: true},
		{Name: PointMark, Fails: true},
		{Name: PointHintDrop, Fails: true},
		{Name: PointHintDropped},
		{Name: PointPurgeStep, Fails: true},
		{Name: PointPurgeDelete, Fails: true},
		{Name: PointFence, Fails: true},
		{Name: PointRead, Fails: true},
	}
}
