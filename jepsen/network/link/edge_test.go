// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

func TestAChangeOfTheRuleForgetsTheRateThatWasUsed(t *testing.T) {
	l := newLink(Rule{Rate: 100})
	offer(l, every(10, 0)...) // 2.9 seconds of it
	l.Set(time.Millisecond, Rule{Rate: 1_000_000}, nil)
	out := offer(l, time.Millisecond)
	if len(out) != 1 || out[0].At > 2*time.Millisecond {
		t.Errorf("at a megabyte a second it leaves as %+v", out)
	}
}

func TestAnIdleLinkSavesNoRateUp(t *testing.T) {
	const rate = 1000
	l := newLink(Rule{Rate: rate})
	out := l.Offer(10*time.Second, make([]byte, 500), nil)
	if want := 10*time.Second + during(500, rate); len(out) != 1 || out[0].At != want {
		t.Errorf("it leaves as %+v, must at %v", out, want)
	}
}

func TestAVerySlowLinkStillTakesAFewPackets(t *testing.T) {
	l := newLink(Rule{Rate: 100}) // 15 seconds for each
	var out []Departure
	for range 4 {
		out = l.Offer(0, make([]byte, 1500), out)
	}
	if len(out) != 4 || out[3].At != during(4*1500, 100) {
		t.Errorf("%d of 4 pass", len(out))
	}
}

func TestWhatWasOfferedIsNotCorruptedItself(t *testing.T) {
	l := newLink(Rule{Corrupt: 1})
	p := udp(7)
	out := l.Offer(0, p, nil)
	if !bytes.Equal(p, udp(7)) {
		t.Error("the offered packet was changed")
	}
	if len(out) != 1 || bytes.Equal(out[0].Packet, p) {
		t.Error("what leaves is not corrupted")
	}
}

func TestAResetGoesToBothSidesInPlaceOfTheSegment(t *testing.T) {
	l := newLink(Rule{Reset: true})
	out := l.Offer(0, tcp(1000, 2000, flagACK, "four"), nil)
	if len(out) != 2 || !out[0].Back || out[1].Back {
		t.Fatalf("what leaves is %+v", out)
	}
	for _, d := range out {
		if h, ok := Parse(d.Packet); !ok || d.Packet[h.length+13]&flagRST == 0 {
			t.Errorf("%x is no reset", d.Packet)
		}
	}
	if out := l.Offer(0, udp(7), nil); len(out) != 1 || !bytes.Equal(out[0].Packet, udp(7)) {
		t.Errorf("a datagram leaves as %+v", out)
	}
	if c := l.Counts(); c.Reset != 1 || c.Delivered != 1 {
		t.Errorf("counts are %+v", c)
	}
}

// Only the first fragment of a packet begins with a header of TCP or UDP, and none has what
// the checksum there is of.
func TestFragmentsAreNotTakenForWholePackets(t *testing.T) {
	for name, field := range map[string]uint16{"first": 0x2000, "middle": 0x2001, "last": 1} {
		p := tcp(1000, 2000, flagACK, "four")
		binary.BigEndian.PutUint16(p[6:], field)
		p[ipHeader+16] ^= 1 // a checksum of more than is here
		before := bytes.Clone(p)
		if Complete(p); !bytes.Equal(p, before) {
			t.Errorf("%s: a checksum was filled in", name)
		}
		if back, _ := Resets(p); (back != nil) != (name == "first") {
			t.Errorf("%s: it is reset by %x", name, back)
		}
		if !Corruptible(p) {
			t.Errorf("%s: it can not be corrupted", name)
		}
	}
}

func TestAHeaderBeyondItsPacketIsNone(t *testing.T) {
	p := append(udp(1), make([]byte, 60)...)
	p[0] = 4<<4 | 15
	if h, ok := Parse(p); ok {
		t.Errorf("it is read as %+v", h)
	}
	if Corruptible(p) {
		t.Error("it can be corrupted")
	}
}

func TestNoDatagramIsCompletedWithTheWordForNoChecksum(t *testing.T) {
	p := append(udp(0), 0)
	p[3], p[ipHeader+5] = byte(len(p)), udpHeader+2
	ones := 0
	for content := range 1 << 16 {
		binary.BigEndian.PutUint16(p[len(p)-2:], uint16(content))
		Complete(p)
		switch binary.BigEndian.Uint16(p[ipHeader+6:]) {
		case 0:
			t.Fatalf("%x says that it has no checksum", p)
		case 0xffff:
			ones++
		}
	}
	if ones == 0 {
		t.Error("no content has a sum of zero: nothing was tested")
	}
}
