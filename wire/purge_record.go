// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// PrefixPurges begins the keys of PurgesKey.
const PrefixPurges = "purge/"

// PurgesKey is the key of a partition's Purges.
func PurgesKey(partition uint16) string { return fmt.Sprintf("%s%04x", PrefixPurges, partition) }

// Purges is where a node stands in the purge rounds of a partition (package antientropy).
type Purges struct {
	Partition                         uint16
	Recorded, Adopted, Drained, Floor kv.PurgeEpoch
}

const purgesFields = 5

// AppendPurgesRecord appends the record that stands under the partition's PurgesKey.
func AppendPurgesRecord(dst []byte, p *Purges) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|purgesFields)
	dst = appendUint(dst, uint64(p.Partition))
	for _, epoch := range [...]kv.PurgeEpoch{p.Recorded, p.Adopted, p.Drained, p.Floor} {
		dst = appendUint(dst, uint64(epoch))
	}
	SealRecord(dst[start:], FormatPurges, []byte(PurgesKey(p.Partition)))
	return dst
}

// DecodePurgesRecord reads the record that stands under key. It returns ErrRecord for
// anything but that of the key's partition.
func DecodePurgesRecord(key string, rec []byte) (p Purges, err error) {
	r, err := openControl(FormatPurges, key, rec)
	if err != nil {
		return Purges{}, err
	}
	extra := r.tuple(purgesFields)
	p.Partition = r.uint16()
	p.Recorded, p.Adopted = kv.PurgeEpoch(r.uint64()), kv.PurgeEpoch(r.uint64())
	p.Drained, p.Floor = kv.PurgeEpoch(r.uint64()), kv.PurgeEpoch(r.uint64())
	r.extras(extra)
	switch {
	case r.err != nil:
	case PurgesKey(p.Partition) != key:
		r.fail(invalid(r.field, "the record of partition %d", p.Partition))
	case p.Floor > p.Drained || p.Drained > p.Adopted:
		r.fail(invalid(r.field, "epochs are out of order"))
	}
	return p, r.record()
}
