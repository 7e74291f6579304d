// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)
var errBad = errors.New("bad record")

func objectPrefix(p uint16, b kv.BucketID) []byte {
	out := []byte{'o'}
	out = binary.BigEndian.AppendUint16(out, p)
	return binary.BigEndian.AppendUint32(out, uint32(b))
}
func objectKey(p uint16, b kv.BucketID, key []byte) []byte {
	return append(objectPrefix(p, b), key...)
}
func versionPrefix(p uint16, b kv.BucketID, key []byte) []byte {
	out := objectKey(p, b, key)
	out[0] = 'v'
	return out
}
func versionKey(p uint16, b kv.BucketID, key []byte, d vclock.Dot) []byte {
	out := versionPrefix(p, b, key)
	out = binary.BigEndian.AppendUint64(out, uint64(d.Actor))
	return binary.BigEndian.AppendUint64(out, d.Counter)
}
func versionDot(prefix, key []byte) (vclock.Dot, bool) {
	if len(key) != len(prefix)+16 {
		return vclock.Dot{}, false
	}
	key = key[len(prefix):]
	return vclock.Dot{Actor: vclock.Actor(binary.BigEndian.Uint64(key)), Counter: binary.BigEndian.Uint64(key[8:])}, true
}
func journalPrefix() []byte      { return []byte{'j'} }
func journalKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'j'}, n) }
func journalNumber(key []byte) (uint64, bool) {
	if len(key) != 9 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}
func seal(key, payload []byte) []byte {
	out := make([]byte, 4, 4+len(payload))
	out = append(out, payload...)
	sum := crc32.Update(crc32.Checksum(key, crcTable), crcTable, payload)
	binary.BigEndian.PutUint32(out, sum)
	return out
}
func unseal(key, record []byte) ([]byte, error) {
	if len(record) < 4 {
		return nil, errBad
	}
	if binary.BigEndian.Uint32(record) != crc32.Update(crc32.Checksum(key, crcTable), crcTable, record[4:]) {
		return nil, errBad
	}
	return record[4:], nil
}
func appendObject(dst []byte, o kv.Object) []byte {
	ctx := o.Context.Append(nil)
	dst = binary.AppendUvarint(dst, uint64(len(ctx)))
	dst = append(dst, ctx...)
	dst = binary.AppendUvarint(dst, uint64(o.Fence))
	for _, v := range o.Versions {
		dst = binary.BigEndian.AppendUint64(dst, uint64(v.Dot.Actor))
		dst = binary.BigEndian.AppendUint64(dst, v.Dot.Counter)
		dst = append(dst, byte(v.Kind))
		dst = binary.BigEndian.AppendUint64(dst, uint64(v.Stamp))
		dst = binary.BigEndian.AppendUint64(dst, uint64(v.ExpiresAt))
		dst = binary.BigEndian.AppendUint64(dst, uint64(v.Checksum))
		dst = append(dst, v.Request[:]...)
		dst = binary.AppendUvarint(dst, uint64(v.Size))
		dst = binary.AppendUvarint(dst, uint64(len(v.Value)))
		dst = append(dst, v.Value...)
	}
	return dst
}
func decodeObject(b []byte, bare bool) (o kv.Object, err error) {
	n, u := binary.Uvarint(b)
	if o.Context, err = vclock.Decode(b[u : u+int(n)]); err != nil {
		return o, err
	}
	b = b[u+int(n):]
	n, u = binary.Uvarint(b)
	o.Fence = kv.Fence(n)
	b = b[u:]
	for len(b) > 0 {
		var v kv.Version
		v.Dot = vclock.Dot{Actor: vclock.Actor(binary.BigEndian.Uint64(b)), Counter: binary.BigEndian.Uint64(b[8:])}
		v.Kind = kv.Kind(b[16])
		v.Stamp = kv.Stamp(binary.BigEndian.Uint64(b[17:]))
		v.ExpiresAt = int64(binary.BigEndian.Uint64(b[25:]))
		v.Checksum = binary.BigEndian.Uint64(b[33:])
		copy(v.Request[:], b[41:])
		b = b[57:]
		n, u = binary.Uvarint(b)
		b = b[u:]
		v.Size = uint32(n)
		v.Fence = o.Fence
		n, u = binary.Uvarint(b)
		b = b[u:]
		if n > 0 && !bare {
			v.Value = b[:n:n]
		}
		b = b[n:]
		o.Versions = append(o.Versions, v)
	}
	return o, nil
}
func isHeader(payload []byte) bool {
	o, _ := decodeObject(payload, false)
	return !o.HasValues()
}

type sealedObject struct{ payload, bytes []byte }

func sealObject(key []byte, o kv.Object, encoded []byte) sealedObject {
	if encoded == nil {
		encoded = appendObject(nil, o)
	}
	r := seal(key, encoded)
	return sealedObject{r[4:], r}
}
func sealHeader(key []byte, o kv.Object) []byte {
	return seal(key, appendObject(nil, o.WithoutValues()))
}

func partitionPrefix(p uint16) []byte { return objectPrefix(p, 0)[:3] }

func splitObjectKey(record []byte) (kv.BucketID, []byte, bool) {
	if len(record) < 7 {
		return 0, nil, false
	}
	return kv.BucketID(binary.BigEndian.Uint32(record[3:])), record[7:], true
}

func controlKey(key string) []byte { return append([]byte{'c'}, key...) }
