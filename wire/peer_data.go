// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// How many fields this release knows of each message; arrays may be longer.
const (
	storeFields      = 6
	storeReplyFields = 3
	readFields       = 2
	readReplyFields  = 4
	scanFields       = 5
	scanReplyFields  = 5
	scanEntryFields  = 2
)

// AppendStoreRequest appends the params of replica.store.
func AppendStoreRequest(dst []byte, q *StoreRequest) []byte {
	dst = append(dst, 0x90|storeFields)
	dst = appendTarget(dst, &q.Target)
	dst = appendUint(dst, uint64(q.Role))
	dst = appendUint(dst, uint64(q.Class))
	dst = appendUint(dst, uint64(q.Epoch))
	if q.Request.IsZero() {
		dst = appendNil(dst)
	} else {
		dst = appendBin(dst, q.Request[:])
	}
	return appendRawObject(dst, &q.Object, q.Raw)
}

// DecodeStoreRequest reads the params of replica.store. Slices alias b. An object
// without all its values is refused.
func DecodeStoreRequest(b []byte, into *StoreRequest) error {
	*into = StoreRequest{}
	r := reader{b: b, field: "store"}
	extra := r.tuple(storeFields)
	r.target(&into.Target, 1)
	r.field = "store"
	into.Role = r.role()
	into.Class = r.class()
	into.Epoch = kv.PurgeEpoch(r.uint64())
	if !r.isNil() {
		r.fixed(into.Request[:])
	}
	into.Object, into.Raw = r.rawObject()
	if r.err == nil && !into.Object.HasValues() {
		r.fail(invalid(r.field, "a version came without its value"))
	}
	r.extras(extra)
	return r.finish()
}

// AppendStoreReply appends the result of replica.store.
func AppendStoreReply(dst []byte, a *StoreReply) []byte {
	dst = appendStanding(append(dst, 0x90|storeReplyFields), &a.Standing)
	dst = appendUint(dst, uint64(a.Code))
	return appendStr(dst, a.Detail)
}

// DecodeStoreReply reads the result of replica.store.
func DecodeStoreReply(b []byte, into *StoreReply) error {
	*into = StoreReply{}
	r := reader{b: b, field: "store"}
	extra := r.tuple(storeReplyFields)
	r.standing(&into.Standing)
	into.Code = r.replicaCode()
	into.Detail = r.text(len(r.b))
	r.extras(extra)
	return r.finish()
}

// AppendReadRequest appends the params of replica.read.
func AppendReadRequest(dst []byte, q *ReadRequest) []byte {
	dst = appendTarget(append(dst, 0x90|readFields), &q.Target)
	return appendUint(dst, uint64(q.Mode))
}

// DecodeReadRequest reads the params of replica.read. Slices alias b.
func DecodeReadRequest(b []byte, into *ReadRequest) error {
	*into = ReadRequest{}
	r := reader{b: b, field: "read"}
	extra := r.tuple(readFields)
	r.target(&into.Target, 1)
	into.Mode = r.mode()
	r.extras(extra)
	return r.finish()
}

// AppendReadReply appends the result of replica.read.
func AppendReadReply(dst []byte, a *ReadReply) []byte {
	dst = appendStanding(append(dst, 0x90|readReplyFields), &a.Standing)
	dst = appendUint(dst, uint64(a.Code))
	dst = appendStr(dst, a.Detail)
	return appendRawObject(dst, &a.Object, a.Raw)
}

// DecodeReadReply reads the result of replica.read. Slices alias b.
func DecodeReadReply(b []byte, into *ReadReply) error {
	*into = ReadReply{}
	r := reader{b: b, field: "read"}
	extra := r.tuple(readReplyFields)
	r.standing(&into.Standing)
	into.Code = r.replicaCode()
	into.Detail = r.text(len(r.b))
	into.Object, into.Raw = r.rawObject()
	r.extras(extra)
	return r.finish()
}

// AppendScanRequest appends the params of replica.scan.
func AppendScanRequest(dst []byte, q *ScanRequest) []byte {
	dst = appendTarget(append(dst, 0x90|scanFields), &q.Target)
	dst = appendBin(dst, q.Prefix)
	dst = appendUint(dst, uint64(q.Limit))
	dst = appendUint(dst, uint64(q.Bytes))
	return appendUint(dst, uint64(q.Mode))
}

// DecodeScanRequest reads the params of replica.scan. Slices alias b.
func DecodeScanRequest(b []byte, into *ScanRequest) error {
	*into = ScanRequest{}
	r := reader{b: b, field: "scan"}
	extra := r.tuple(scanFields)
	r.target(&into.Target, 0)
	into.Prefix = r.bytes(kv.MaxKey)
	into.Limit = uint32(r.uint(MaxList))
	into.Bytes = r.uint32()
	into.Mode = r.mode()
	r.extras(extra)
	return r.finish()
}

// AppendScanReply appends the result of replica.scan.
func AppendScanReply(dst []byte, a *ScanReply) []byte {
	dst = appendStanding(append(dst, 0x90|scanReplyFields), &a.Standing)
	dst = appendUint(dst, uint64(a.Code))
	dst = appendStr(dst, a.Detail)
	dst = appendArray(dst, len(a.Entries))
	for i := range a.Entries {
		e := &a.Entries[i]
		dst = appendBin(append(dst, 0x90|scanEntryFields), e.Key)
		dst = appendRawObject(dst, &e.Object, e.Raw)
	}
	return appendBool(dst, a.More)
}

// minScanEntry is the least that an encoded entry takes: its array, a key of a byte,
// and an empty object (its array, a context of four bytes, fence, no versions).
const minScanEntry = 1 + 2 + (1 + 4 + 1 + 1)

// DecodeScanReply reads the result of replica.scan. Slices alias b.
func DecodeScanReply(b []byte, into *ScanReply) error {
	*into = ScanReply{}
	r := reader{b: b, field: "scan"}
	extra := r.tuple(scanReplyFields)
	r.standing(&into.Standing)
	into.Code = r.replicaCode()
	into.Detail = r.text(len(r.b))
	into.Entries = elements(&r, r.array(minScanEntry), (*reader).scanEntry)
	into.More = r.bool()
	r.extras(extra)
	return r.finish()
}

func (r *reader) scanEntry() (e ScanEntry) {
	r.field = "entry"
	extra := r.tuple(scanEntryFields)
	e.Key = r.bytes(kv.MaxKey)
	e.Object, e.Raw = r.rawObject()
	r.extras(extra)
	return e
}
