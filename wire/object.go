// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"math"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// ErrObject is returned for bytes that are no object, or one that breaks an invariant
// of kv, or a version whose content does not match its checksum.
var ErrObject = errors.New("wire: not an object")

const (
	// objectFields and versionFields are how many fields this release knows; arrays may
	// be longer.
	objectFields  = 3
	versionFields = 8

	// minVersion is the least that an encoded version takes: its array and fields.
	minVersion = 1 + versionFields
)

// AppendObject appends an object as peers and records hold it:
//
//	object  = [context, fence, [version, ...]]
//	context = bin, as vclock encodes it
//	version = [actor, counter, kind, stamp, expires, request, checksum, content]
//	request = bin of 16 bytes, or nil for none
//	content = bin: the value; nil: a tombstone; integer: the size of a value that is
//	          not here
//
// A version's fence is its object's (I3 of kv) and is written once. The bytes stand by
// themselves: an object may be kept, and sent on, as it came.
func AppendObject(dst []byte, o *kv.Object) []byte { return appendObject(dst, o, true) }

// AppendObjectBare is AppendObject of the object without its values.
func AppendObjectBare(dst []byte, o *kv.Object) []byte { return appendObject(dst, o, false) }

func appendObject(dst []byte, o *kv.Object, values bool) []byte {
	dst = append(dst, 0x90|objectFields)
	dst = appendBinHead(dst, o.Context.EncodedSize())
	dst = o.Context.Append(dst)
	dst = appendUint(dst, uint64(o.Fence))
	dst = appendArray(dst, len(o.Versions))
	for i := range o.Versions {
		dst = appendVersion(dst, &o.Versions[i], values)
	}
	return dst
}

func appendVersion(dst []byte, v *kv.Version, values bool) []byte {
	dst = append(dst, 0x90|versionFields)
	dst = appendUint(dst, uint64(v.Dot.Actor))
	dst = appendUint(dst, v.Dot.Counter)
	dst = appendUint(dst, uint64(v.Kind))
	dst = appendUint(dst, uint64(v.Stamp))
	dst = appendUint(dst, uint64(v.ExpiresAt))
	if v.Request.IsZero() {
		dst = appendNil(dst)
	} else {
		dst = appendBin(dst, v.Request[:])
	}
	dst = appendUint(dst, v.Checksum)
	switch {
	case v.Kind == kv.KindTombstone:
		return appendNil(dst)
	case v.Size > 0 && (!values || v.Value == nil):
		return appendUint(dst, uint64(v.Size))
	default:
		return appendBin(dst, v.Value)
	}
}

// DecodeObject reads what AppendObject or AppendObjectBare made; values alias b. It
// returns ErrObject for anything else, a value that does not match its checksum
// included.
func DecodeObject(b []byte) (kv.Object, error) { return decodeObject(b, true) }

// DecodeObjectBare is DecodeObject without the values: what caches and digests keep.
// The result shares no memory with b. Values are not compared with their checksums.
func DecodeObjectBare(b []byte) (kv.Object, error) { return decodeObject(b, false) }

func decodeObject(b []byte, values bool) (kv.Object, error) {
	r := reader{b: b}
	o := r.object(values)
	if err := r.finish(); err != nil {
		return kv.Object{}, fmt.Errorf("%w: %w", ErrObject, err)
	}
	return o, nil
}

func (r *reader) object(values bool) (o kv.Object) {
	r.field = "object"
	extra := r.tuple(objectFields)
	o.Context = r.context()
	r.field = "object"
	o.Fence = kv.Fence(r.uint64())
	n := r.array(minVersion)
	if n > 0 {
		o.Versions = make([]kv.Version, n)
	}
	for i := range o.Versions {
		v := &o.Versions[i]
		v.Fence = o.Fence
		r.version(v, values)
		switch {
		case r.err != nil:
			return kv.Object{}
		case i > 0 && o.Versions[i-1].Dot.Compare(v.Dot) >= 0:
			r.fail(invalid(r.field, "versions are out of order"))
		case !o.Context.Contains(v.Dot):
			r.fail(invalid(r.field, "the context does not hold the dot of a version"))
		}
	}
	r.extras(extra)
	return o
}

func (r *reader) context() vclock.Context {
	r.field = "context"
	b := r.bytes(math.MaxInt32)
	if r.err != nil {
		return vclock.Context{}
	}
	c, err := vclock.Decode(b)
	if err != nil {
		r.fail(invalid(r.field, "%v", err))
	}
	return c
}

// version reads a version into v, whose fence is set already.
func (r *reader) version(v *kv.Version, values bool) {
	r.field = "version"
	extra := r.tuple(versionFields)
	v.Dot.Actor = vclock.Actor(r.uint64())
	v.Dot.Counter = r.uint(vclock.MaxCounter)
	v.Kind = kv.Kind(r.uint8())
	v.Stamp = kv.Stamp(r.uint64())
	v.ExpiresAt = r.milli()
	if !r.isNil() {
		r.fixed(v.Request[:])
	}
	v.Checksum = r.uint64()
	r.content(v)
	switch {
	case r.err != nil:
		return
	case v.Dot.Counter == 0:
		r.fail(invalid(r.field, "counter must be at least 1"))
	case !values:
		v.Value = nil
	case v.HasValue() && !v.Intact():
		r.fail(invalid(r.field, "content of %s does not match its checksum", v.Dot))
	}
	r.extras(extra)
}

// content reads the last field of a version, and checks that it fits the kind.
func (r *reader) content(v *kv.Version) {
	k, n := r.head()
	switch {
	case r.err != nil:
	case k == kindNil && v.Kind == kv.KindTombstone:
	case k == kindBin && v.Kind == kv.KindValue && n <= math.MaxUint32:
		v.Size = uint32(n)
		v.Value = r.b[:n:n]
		r.b = r.b[n:]
	case k == kindUint && v.Kind == kv.KindValue && 0 < n && n <= math.MaxUint32:
		v.Size = uint32(n)
	default:
		r.fail(invalid(r.field, "%s does not go with %s", v.Kind, k))
	}
}

// rawObject is object, and returns the object's bytes too.
func (r *reader) rawObject() (kv.Object, []byte) {
	start := r.b
	o := r.object(true)
	if r.err != nil {
		return kv.Object{}, nil
	}
	n := len(start) - len(r.b)
	return o, start[:n:n]
}

// appendRawObject appends raw where it is there, else the encoding of o.
func appendRawObject(dst []byte, o *kv.Object, raw []byte) []byte {
	if len(raw) > 0 {
		return append(dst, raw...)
	}
	return AppendObject(dst, o)
}
