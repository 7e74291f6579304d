// SPDX-License-Identifier: Apache-2.0

package link

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

const (
	protoTCP, protoUDP = 6, 17

	ipHeader  = 20 // without options, which nobody here sends, but may
	tcpHeader = 20
	udpHeader = 8

	flagFIN, flagSYN, flagRST, flagACK = 1, 2, 4, 16
)

// Header is what is looked at of a packet of IPv4.
type Header struct {
	Source, Destination [4]byte
	protocol            byte
	length              int // of the header
	total               int // of the packet, without what a link adds to it
	first, last         bool
}

// Parse reads the header; not ok: it is no whole packet of IPv4.
func Parse(p []byte) (h Header, ok bool) {
	if len(p) < ipHeader || p[0]>>4 != 4 {
		return h, false
	}
	h.length = int(p[0]&15) * 4
	h.total = int(binary.BigEndian.Uint16(p[2:]))
	if h.length < ipHeader || h.total < h.length || h.total > len(p) {
		return h, false
	}
	fragment := binary.BigEndian.Uint16(p[6:])
	h.first, h.last = fragment&0x1fff == 0, fragment&0x2000 == 0
	h.protocol = p[9]
	copy(h.Source[:], p[12:16])
	copy(h.Destination[:], p[16:20])
	return h, true
}

// covered is what comes after the header, where a checksum covers it.
func covered(p []byte) (Header, []byte) {
	h, ok := Parse(p)
	if !ok {
		return h, nil
	}
	body := p[h.length:h.total]
	switch {
	case h.protocol != protoTCP && h.protocol != protoUDP, len(body) == 0:
		return h, nil
	case h.first && h.protocol == protoTCP && len(body) < tcpHeader,
		h.first && h.protocol == protoUDP && len(body) < udpHeader:
		return h, nil
	case h.first && h.protocol == protoUDP && binary.BigEndian.Uint16(body[6:]) == 0:
		return h, nil // sent without a checksum
	}
	return h, body
}

// Corruptible says that a receiver will see that the packet was corrupted.
func Corruptible(p []byte) bool {
	_, body := covered(p)
	return body != nil
}

// Corrupt turns one bit of a packet that is Corruptible. It spares the checksum of UDP, which
// one bit may turn into the word for none.
func Corrupt(rng *rand.Rand, p []byte) {
	h, body := covered(p)
	n := len(body)
	udp := h.first && h.protocol == protoUDP
	if udp {
		n -= 2
	}
	at := rng.IntN(n)
	if udp && at >= 6 {
		at += 2
	}
	body[at] ^= 1 << rng.IntN(8)
}

// Resets are what a firewall that ends a connection sends in place of a segment of TCP: back
// to its sender, and forth to its receiver, where that may have the connection. Both are nil
// where p is no such segment, or a reset itself.
func Resets(p []byte) (back, forth []byte) {
	h, body := covered(p)
	if h.protocol != protoTCP || body == nil || !h.first {
		return nil, nil
	}
	flags := body[13]
	if flags&flagRST != 0 {
		return nil, nil
	}
	offset := int(body[12]>>4) * 4
	if offset < tcpHeader || offset > len(body) {
		return nil, nil
	}
	from, to := binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])
	seq, ack := binary.BigEndian.Uint32(body[4:]), binary.BigEndian.Uint32(body[8:])
	if flags&flagACK == 0 { // the first segment of a connection, which is refused
		length := uint32(len(body)-offset) + uint32(flags&flagSYN/flagSYN) + uint32(flags&flagFIN)
		return segment(h.Destination, h.Source, to, from, 0, seq+length, flagRST|flagACK), nil
	}
	back = segment(h.Destination, h.Source, to, from, ack, 0, flagRST)
	forth = segment(h.Source, h.Destination, from, to, seq, ack, flagRST|flagACK)
	return back, forth
}

// segment is a packet with a segment of TCP that carries nothing.
func segment(src, dst [4]byte, from, to uint16, seq, ack uint32, flags byte) []byte {
	p := make([]byte, ipHeader+tcpHeader)
	p[0], p[8], p[9] = 4<<4|ipHeader/4, 64, protoTCP
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	copy(p[12:], src[:])
	copy(p[16:], dst[:])
	binary.BigEndian.PutUint16(p[10:], ^fold(sum(0, p[:ipHeader])))
	t := p[ipHeader:]
	binary.BigEndian.PutUint16(t, from)
	binary.BigEndian.PutUint16(t[2:], to)
	binary.BigEndian.PutUint32(t[4:], seq)
	binary.BigEndian.PutUint32(t[8:], ack)
	t[12], t[13] = tcpHeader/4<<4, flags
	Complete(p)
	return p
}

// Complete fills in the checksum of a whole packet of TCP or UDP: a sender whose device is to
// do so leaves it open.
func Complete(p []byte) {
	h, ok := Parse(p)
	if !ok || !h.first || !h.last {
		return
	}
	body := p[h.length:h.total]
	at := 0
	switch {
	case h.protocol == protoTCP && len(body) >= tcpHeader:
		at = 16
	case h.protocol == protoUDP && len(body) >= udpHeader:
		at = 6
	default:
		return
	}
	body[at], body[at+1] = 0, 0
	check := ^checksum(h, body)
	if check == 0 && h.protocol == protoUDP {
		check = 0xffff // 0 is the word for none
	}
	binary.BigEndian.PutUint16(body[at:], check)
}

// checksum is the sum over the body of a whole packet and what stands for its header; it is
// 0xffff where the checksum in the body is right.
func checksum(h Header, body []byte) uint16 {
	s := sum(0, h.Source[:])
	s = sum(s, h.Destination[:])
	s = uint64(fold(s)) + uint64(h.protocol) + uint64(len(body))
	return fold(sum(s, body))
}

// sum adds words of 32 bits; their carries fold into the sum of words of 16.
func sum(s uint64, b []byte) uint64 {
	for ; len(b) >= 8; b = b[8:] {
		var carry uint64
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s += carry
	}
	var rest [8]byte
	copy(rest[:], b)
	var carry uint64
	s, carry = bits.Add64(s, binary.BigEndian.Uint64(rest[:]), 0)
	return s + carry
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
