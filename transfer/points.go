// SPDX-License-Identifier: Apache-2.0

package transfer

import "github.com/dyno-kv/dyno/internal/fail"

// The failpoints of a refill, in the order in which they are passed first.
const (
	// PointFence: another owner is about to be asked to fence itself. An error is that of an
	// owner that does not answer.
	PointFence = "transfer/before-fence"
	// PointCopy: an owner is fenced, and a partition about to be copied from it. An error is
	// that of a page that does not come.
	PointCopy = "transfer/before-copy"
	// PointStore: a page of copies has come, and is about to be stored. An error is one of
	// storing it.
	PointStore = "transfer/before-store"
	// PointNote: a partition is copied, durably, and this is about to be noted. An error is a
	// failed write.
	PointNote = "transfer/before-note"
	// PointCompare: all is copied, and a round of comparison about to begin. An error is that
	// of an owner that does not answer.
	PointCompare = "transfer/before-compare"
	// PointFenceSelf: nothing was missing, and this node is about to fence itself. An error is
	// told instead.
	PointFenceSelf = "transfer/before-own-fence"
	// PointReport: the node is fenced, and the end about to be proposed. An error is that of a
	// group out of reach.
	PointReport = "transfer/before-report"
)

// Points lists the failpoints of a refill.
func Points() []fail.Point {
	return []fail.Point{
		{Name: PointFence, Fails: true},
		{Name: PointCopy, Fails: true},
		{Name: PointStore, Fails: true},
		{Name: PointNote, Fails: true},
		{Name: PointCompare, Fails: true},
		{Name: PointFenceSelf, Fails: true},
		{Name: PointReport, Fails: true},
	}
}
