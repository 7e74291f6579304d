// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// notate shows one MessagePack value, in the order of its bytes, as the library reads
// it: str "text", bin b"text" or h"hex", integers, nil, true, [arrays], {maps}.
func notate(d *msgpack.Decoder) (string, error) {
	c, err := d.PeekCode()
	if err != nil {
		return "", err
	}
	switch {
	case c == msgpcode.Nil:
		return "nil", d.DecodeNil()
	case c == msgpcode.True || c == msgpcode.False:
		v, err := d.DecodeBool()
		return strconv.FormatBool(v), err
	case msgpcode.IsString(c):
		s, err := d.DecodeString()
		return strconv.Quote(s), err
	case msgpcode.IsBin(c):
		b, err := d.DecodeBytes()
		return notateBytes(b), err
	case msgpcode.IsFixedArray(c) || c == msgpcode.Array16 || c == msgpcode.Array32:
		n, err := d.DecodeArrayLen()
		return notateList(d, n, err, "[", "]", notate)
	case msgpcode.IsFixedMap(c) || c == msgpcode.Map16 || c == msgpcode.Map32:
		n, err := d.DecodeMapLen()
		return notateList(d, n, err, "{", "}", notatePair)
	default:
		n, err := d.DecodeUint64()
		return strconv.FormatUint(n, 10), err
	}
}

func notatePair(d *msgpack.Decoder) (string, error) {
	key, err := notate(d)
	if err != nil {
		return "", err
	}
	value, err := notate(d)
	return key + ": " + value, err
}

func notateList(
	d *msgpack.Decoder, n int, err error, open, end string,
	element func(*msgpack.Decoder) (string, error),
) (string, error) {
	parts := make([]string, 0, max(n, 0))
	for i := 0; i < n && err == nil; i++ {
		var part string
		part, err = element(d)
		parts = append(parts, part)
	}
	return open + strings.Join(parts, ", ") + end, err
}

func notateBytes(b []byte) string {
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return fmt.Sprintf(`h"%x"`, b)
		}
	}
	return "b" + strconv.Quote(string(b))
}
