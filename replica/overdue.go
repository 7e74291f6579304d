// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
)

const (
	// overduePage and overdueBytes bound a page of the search for what can be purged.
	overduePage  = 256
	overdueBytes = 1 << 20
)

// Overdue is a page of what is to go.
type Overdue struct {
	// Items are what a purge round may be begun over.
	Items []antientropy.Item
	// Expired are objects that a tombstone may take the place of, without their values.
	Expired []Outlived
	// Bytes is about how many bytes were looked through, without values.
	Bytes int
	// Next is the position after the page, More whether there is anything behind it.
	Next storage.Position
	More bool
}

// Outlived is an object whose versions have expired.
type Outlived struct {
	Bucket kv.BucketID
	Key    []byte
	Object kv.Object
}

// Overdue looks through a page of what this node holds of a partition, from a position on,
// for tombstones older than the grace, and for what has expired longer than the margin ago.
func (r *Replica) Overdue(
	p uint16, from storage.Position, grace, margin time.Duration,
) (o Overdue, err error) {
	page, next, more, err := r.store.In(0).Page(
		p, from, overduePage, overdueBytes, storage.ModeBare)
	if err != nil {
		return Overdue{}, err
	}
	o.Next, o.More = next, more
	seed, now := r.cfg.Ring().HashSeed(), r.cfg.Now()
	for i := range page {
		o.Bytes += len(page[i].Key) + page[i].Object.Size()
		switch at := &page[i]; {
		case at.State != storage.StatePresent || r.deleted(at.Bucket):
		case antientropy.Candidate(&at.Object, now, grace):
			o.Items = append(o.Items, antientropy.Item{
				Bucket: at.Bucket, Key: at.Key,
				Entry: antientropy.Of(seed, at.Bucket, at.Key, &at.Object),
			})
		case antientropy.Expired(&at.Object, now, margin):
			o.Expired = append(o.Expired, Outlived{at.Bucket, at.Key, at.Object})
		}
	}
	return o, nil
}
