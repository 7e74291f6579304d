// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
)

// MessageType is the first element of a MessagePack-RPC message.
type MessageType uint8

// The values are those of the MessagePack-RPC specification.
const (
	TypeRequest      MessageType = 0
	TypeResponse     MessageType = 1
	TypeNotification MessageType = 2
)

func (t MessageType) String() string {
	switch t {
	case TypeRequest:
		return "request"
	case TypeResponse:
		return "response"
	case TypeNotification:
		return "notification"
	default:
		return fmt.Sprintf("message-type(%d)", uint8(t))
	}
}

const (
	// MaxMethod is the longest method name, in bytes.
	MaxMethod = 64

	// firstOfThree and firstOfFour are the arrays that messages are: a
	// notification has three elements, the others four.
	firstOfThree = 0x93
	firstOfFour  = 0x94
	// firstOfTLS begins a TLS record of type handshake.
	firstOfTLS = 0x16
)

// FirstByte is what the first byte of a connection tells about the other side.
type FirstByte uint8

const (
	// FirstMessage: a MessagePack-RPC message begins.
	FirstMessage FirstByte = 1 + iota
	// FirstTLS: a TLS handshake begins.
	FirstTLS
	// FirstHTTP: looks like the method of an HTTP request.
	FirstHTTP
	// FirstForeign: none of these.
	FirstForeign
)

// ClassifyFirstByte tells what a connection that begins with b speaks, for the
// hint that the log gives where it is not this protocol.
func ClassifyFirstByte(b byte) FirstByte {
	switch {
	case b == firstOfThree || b == firstOfFour:
		return FirstMessage
	case b == firstOfTLS:
		return FirstTLS
	case b >= 'A' && b <= 'Z':
		return FirstHTTP
	default:
		return FirstForeign
	}
}

// Header is a message with its four parts told apart and nothing decoded. The
// slices alias the message; their capacity ends where they do.
type Header struct {
	Type MessageType
	// HasID says that MsgID was read, be it from a message that is malformed
	// further on: an error can be addressed to it.
	HasID bool
	// MsgID pairs a response with its request. 0 is as good as any.
	MsgID uint64
	// Method of a request or notification, at most [MaxMethod] bytes.
	Method []byte
	// Params of a request or notification: one raw MessagePack value.
	Params []byte
	// Error of a response: nil where the call succeeded, else the text, which may
	// be empty but is never nil then.
	Error []byte
	// Result of a response: one raw MessagePack value.
	Result []byte
}

// ParseHeader tells the parts of one message apart. msg must be exactly one value
// that has passed a [Scanner]; then Params and Result are exactly one value too.
// The error wraps [ErrMalformed] and says which part is wrong; the header holds
// what was read before it. Nothing is allocated where the message is good.
func ParseHeader(msg []byte) (Header, error) {
	var h Header
	if len(msg) < 2 {
		return h, fmt.Errorf("%w: not an array of three or four", ErrMalformed)
	}
	if msg[0] != firstOfThree && msg[0] != firstOfFour {
		return h, fmt.Errorf("%w: first byte is %#02x, not an array of three or four",
			ErrMalformed, msg[0])
	}
	kind, rest, ok := readFrameUint(msg[1:])
	if !ok || kind > uint64(TypeNotification) {
		return h, fmt.Errorf("%w: unknown message type", ErrMalformed)
	}
	h.Type = MessageType(kind)
	if (h.Type == TypeNotification) != (msg[0] == firstOfThree) {
		return h, fmt.Errorf("%w: a %v has another number of elements", ErrMalformed, h.Type)
	}
	if h.Type != TypeNotification {
		if h.MsgID, rest, ok = readFrameUint(rest); !ok {
			return h, fmt.Errorf("%w: msgid is not an integer from 0 on", ErrMalformed)
		}
		h.HasID = true
	}
	if h.Type == TypeResponse {
		return h, h.parseAnswer(rest)
	}
	return h, h.parseCall(rest)
}

// parseCall reads [method, params].
func (h *Header) parseCall(b []byte) error {
	method, rest, ok := readFrameText(b)
	if !ok || len(method) == 0 {
		return fmt.Errorf("%w: method is not a string", ErrMalformed)
	}
	if len(method) > MaxMethod {
		return fmt.Errorf("%w: method name of %d bytes, %d is the limit",
			ErrMalformed, len(method), MaxMethod)
	}
	if len(rest) == 0 {
		return fmt.Errorf("%w: params are missing", ErrMalformed)
	}
	h.Method, h.Params = method, rest[:len(rest):len(rest)]
	return nil
}

// parseAnswer reads [error, result].
func (h *Header) parseAnswer(b []byte) error {
	var rest []byte
	if len(b) > 0 && b[0] == 0xc0 {
		rest = b[1:]
	} else {
		text, after, ok := readFrameText(b)
		if !ok {
			return fmt.Errorf("%w: error is neither nil nor a string", ErrMalformed)
		}
		h.Error, rest = text, after
	}
	if len(rest) == 0 {
		h.Error = nil
		return fmt.Errorf("%w: result is missing", ErrMalformed)
	}
	h.Result = rest[:len(rest):len(rest)]
	return nil
}

// PeekID finds the msgid of a request that has not arrived as a whole, or that
// failed its scan, so that the error can be addressed. ok is false for anything
// but a request whose msgid is there.
func PeekID(prefix []byte) (id uint64, ok bool) {
	if len(prefix) < 2 || prefix[0] != firstOfFour {
		return 0, false
	}
	kind, rest, ok := readFrameUint(prefix[1:])
	if !ok || kind != uint64(TypeRequest) {
		return 0, false
	}
	id, _, ok = readFrameUint(rest)
	return id, ok
}

// AppendRequestHeader appends a request up to its params, which the caller appends
// next: exactly one MessagePack value.
func AppendRequestHeader(dst []byte, id uint64, method string) []byte {
	dst = append(dst, firstOfFour, byte(TypeRequest))
	return appendFrameText(appendFrameUint(dst, id), method)
}

// AppendNotificationHeader appends a notification up to its params, which the
// caller appends next: exactly one MessagePack value.
func AppendNotificationHeader(dst []byte, method string) []byte {
	return appendFrameText(append(dst, firstOfThree, byte(TypeNotification)), method)
}

// AppendResponseHeader appends a response without error up to its result, which
// the caller appends next: exactly one MessagePack value.
func AppendResponseHeader(dst []byte, id uint64) []byte {
	dst = append(dst, firstOfFour, byte(TypeResponse))
	return append(appendFrameUint(dst, id), 0xc0)
}

// AppendErrorResponse appends a whole response that carries an error, `CODE: text`.
func AppendErrorResponse(dst []byte, id uint64, text string) []byte {
	dst = append(dst, firstOfFour, byte(TypeResponse))
	return append(appendFrameText(appendFrameUint(dst, id), text), 0xc0)
}

// readFrameUint reads an integer from 0 on in any of its encodings.
func readFrameUint(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if b[0] <= 0x7f {
		return uint64(b[0]), b[1:], true
	}
	var width int
	switch b[0] {
	case 0xcc, 0xd0:
		width = 1
	case 0xcd, 0xd1:
		width = 2
	case 0xce, 0xd2:
		width = 4
	case 0xcf, 0xd3:
		width = 8
	default:
		return 0, nil, false
	}
	if len(b) < 1+width {
		return 0, nil, false
	}
	for _, c := range b[1 : 1+width] {
		v = v<<8 | uint64(c)
	}
	signed := b[0] >= 0xd0
	if signed && b[1] >= 0x80 {
		return 0, nil, false
	}
	return v, b[1+width:], true
}

// readFrameText reads a str or bin. text is never nil where ok.
func readFrameText(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	switch c := b[0]; {
	case c >= 0xa0 && c <= 0xbf: // fixstr
	case c >= 0xc4 && c <= 0xc6: // bin
	case c >= 0xd9 && c <= 0xdb: // str
	default:
		return nil, nil, false
	}
	h := readHead(b)
	if h.kind != headScalar || h.count > int64(len(b)-h.size) {
		return nil, nil, false
	}
	end := h.size + int(h.count)
	return b[h.size:end:end], b[end:], true
}

func appendFrameUint(dst []byte, v uint64) []byte {
	switch {
	case v <= 0x7f:
		return append(dst, byte(v))
	case v <= 0xff:
		return append(dst, 0xcc, byte(v))
	case v <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v <= 0xffffffff:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
	}
}

func appendFrameText(dst []byte, s string) []byte {
	switch n := len(s); {
	case n <= 31:
		dst = append(dst, 0xa0|byte(n))
	case n <= 0xff:
		dst = append(dst, 0xd9, byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
	return append(dst, s...)
}
