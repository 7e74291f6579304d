// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// right says whether the checksum of a packet of TCP or UDP is, counted the plain way.
func right(p []byte) bool {
	h, ok := Parse(p)
	if !ok {
		return false
	}
	body := p[h.length:h.total]
	s := uint32(h.protocol) + uint32(len(body))
	for _, b := range [][]byte{h.Source[:], h.Destination[:], body} {
		for i, x := range b {
			s += uint32(x) << (8 * (1 - i%2))
		}
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return s == 0xffff
}

func tcp(seq, ack uint32, flags byte, content string) []byte {
	p := segment([4]byte{10, 79, 0, 1}, [4]byte{10, 79, 0, 2}, 7, 4610, seq, ack, flags)
	p = append(p, content...)
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	Complete(p)
	return p
}

func TestChecksumsAreThoseOfThePlainSum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 2000 {
		p := tcp(rng.Uint32(), rng.Uint32(), byte(n), "")
		for range rng.IntN(40) {
			p = append(p, byte(rng.Uint32()))
		}
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		if n%2 == 0 {
			p[9] = protoUDP
		}
		Complete(p)
		if !right(p) {
			t.Fatalf("the checksum of %x is wrong", p)
		}
		whole := bytes.Clone(p)
		if Complete(p); !bytes.Equal(p, whole) {
			t.Fatal("a checksum that is right was changed")
		}
	}
}

func TestEachCorruptedBitIsSeen(t *testing.T) {
	for name, p := range map[string][]byte{
		"udp": udp(1), "tcp": tcp(1, 2, flagACK, "content"), "empty": tcp(1, 2, flagACK, ""),
	} {
		if !Corruptible(p) {
			t.Fatalf("%s can not be corrupted", name)
		}
		rng := rand.New(rand.NewPCG(3, 4))
		bitsSeen := map[int]bool{}
		for range 20_000 {
			c := bytes.Clone(p)
			Corrupt(rng, c)
			if right(c) {
				t.Fatalf("%s: the checksum hides the corruption of %x to %x", name, p, c)
			}
			for i := range c {
				if d := c[i] ^ p[i]; d != 0 {
					if i < ipHeader {
						t.Fatalf("%s: byte %d is of the header of IP", name, i)
					}
					if name == "udp" && (i == ipHeader+6 || i == ipHeader+7) {
						t.Fatalf("%s: byte %d is of the checksum", name, i)
					}
					bitsSeen[i*256+int(d)] = true
				}
			}
		}
		want := (len(p) - ipHeader) * 8
		if name == "udp" {
			want -= 16
		}
		if len(bitsSeen) != want {
			t.Errorf("%s: %d of %d bits were turned", name, len(bitsSeen), want)
		}
	}
}

func TestWhatNoChecksumCoversIsNotCorrupted(t *testing.T) {
	none := udp(1)
	none[ipHeader+6], none[ipHeader+7] = 0, 0
	icmp := udp(1)
	icmp[9] = 1
	short := udp(1)
	short[3] = ipHeader + 4
	for name, p := range map[string][]byte{
		"udp without checksum": none, "icmp": icmp, "cut short": short, "ipv6": {6 << 4, 1},
		"empty": {}, "header only": udp(1)[:ipHeader],
	} {
		if Corruptible(p) {
			t.Errorf("%s is said to be corruptible", name)
		}
		if back, forth := Resets(p); back != nil || forth != nil {
			t.Errorf("%s is reset", name)
		}
		Complete(p) // must not panic
	}
}

func TestResetsFitTheConnection(t *testing.T) {
	back, forth := Resets(tcp(1000, 2000, flagACK, "four"))
	fields := func(p []byte) (src, dst [4]byte, from, to uint16, seq, ack uint32, flags byte) {
		h, ok := Parse(p)
		if !ok || !right(p) || fold(sum(0, p[:ipHeader])) != 0xffff {
			t.Fatalf("%x is no right packet", p)
		}
		b := p[h.length:]
		return h.Source, h.Destination, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]),
			binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), b[13]
	}
	src, dst, from, to, seq, _, flags := fields(back)
	if src[3] != 2 || dst[3] != 1 || from != 4610 || to != 7 || seq != 2000 || flags != flagRST {
		t.Errorf("back goes %x", back)
	}
	src, dst, from, to, seq, _, flags = fields(forth)
	if src[3] != 1 || dst[3] != 2 || from != 7 || to != 4610 || seq != 1000 || flags&flagRST == 0 {
		t.Errorf("forth goes %x", forth)
	}

	back, forth = Resets(tcp(1000, 0, flagSYN, ""))
	_, _, _, _, _, ack, flags := fields(back)
	if ack != 1001 || flags != flagRST|flagACK || forth != nil {
		t.Errorf("the first segment is refused by %x and %x", back, forth)
	}
	if back, _ := Resets(tcp(1, 2, flagRST|flagACK, "")); back != nil {
		t.Error("a reset is reset: that has no end")
	}
}

func FuzzPackets(f *testing.F) {
	f.Add(udp(1))
	f.Add(tcp(1, 2, flagACK, "content"))
	f.Fuzz(func(t *testing.T, p []byte) {
		before := bytes.Clone(p)
		Resets(p)
		if Corruptible(p) {
			Corrupt(rand.New(rand.NewPCG(1, 1)), p)
			if bytes.Equal(p, before) {
				t.Fatal("nothing was corrupted")
			}
		}
		Complete(p)
		if len(p) != len(before) {
			t.Fatal("the length changed")
		}
	})
}
