// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const testTag = 0x1122334455667788

func testMeta() Meta {
	return Meta{
		NodeID: 3, Instance: 1<<48 | 9, RingVersion: 77, Load: 5, State: StateDraining,
		ClientAddr: "10.0.0.3:4610", PeerAddr: "10.0.0.3:4611",
	}
}

const goldenMeta = "d701" + "1122334455667788" + "0003" + "0001000000000009" +
	"000000000000004d" + "00000005" + "02" +
	"000d" + "31302e302e302e333a34363130" + "000d" + "31302e302e302e333a34363131"

func TestMetaHasTheBytesThatOtherReleasesExpect(t *testing.T) {
	if got := hex.EncodeToString(encodeMeta(testTag, testMeta())); got != goldenMeta {
		t.Errorf("encoded\n%s, want\n%s", got, goldenMeta)
	}
	b, err := hex.DecodeString(goldenMeta)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeMeta(testTag, b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(testMeta(), got); diff != "" {
		t.Error(diff)
	}
}

func TestMetaOfALaterReleaseIsReadAsFarAsItIsKnown(t *testing.T) {
	b := append(encodeMeta(testTag, testMeta()), "what comes later"...)
	b[1] = metaVersion + 1
	got, err := decodeMeta(testTag, b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(testMeta(), got); diff != "" {
		t.Error(diff)
	}
}

func TestMetaThatNoNodeWouldSayIsRefused(t *testing.T) {
	good := encodeMeta(testTag, testMeta())
	change := func(at int, to ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], to)
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, errMeta},
		{"another cluster", change(2, 0xff), errForeign},
		{"another magic", change(0, 0), errMeta},
		{"version 0", change(1, 0), errMeta},
		{"node 0", change(10, 0, 0), errMeta},
		{"state 0", change(32, 0), errMeta},
		{"an address longer than the rest", change(33, 0xff, 0xff), errMeta},
		{"an address with a line feed", change(40, '\n'), errMeta},
		{"bytes after its end", append(bytes.Clone(good), 0), errMeta},
		{"more than fits", append(bytes.Clone(good), make([]byte, MaxMeta)...), errMeta},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := decodeMeta(testTag, tt.b); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	for n := range good {
		if _, err := decodeMeta(testTag, good[:n]); err == nil {
			t.Errorf("the first %d bytes were taken for a whole", n)
		}
	}
}

func TestTrapN6MetaAtTheBoundIsAcceptedAndAboveIsRefusedAtConfig(t *testing.T) {
	cfg := testConfig(1)
	room := MaxMeta - metaFixed - 2*metaLength - len(cfg.PeerAddr)
	cfg.ClientAddr = strings.Repeat("a", room)
	if err := cfg.Validate(); err != nil {
		t.Errorf("%d bytes: %v", cfg.meta().size(), err)
	}
	b := encodeMeta(testTag, cfg.meta())
	if len(b) != MaxMeta {
		t.Errorf("encoded %d bytes, want %d", len(b), MaxMeta)
	}
	if _, err := decodeMeta(testTag, b); err != nil {
		t.Error(err)
	}
	cfg.ClientAddr += "a"
	err := cfg.Validate()
	if err == nil || !strings.Contains(err.Error(), "513") {
		t.Errorf("513 bytes: %v", err)
	}
}

func FuzzDecodeMeta(f *testing.F) {
	f.Add(encodeMeta(testTag, testMeta()))
	f.Add([]byte{metaMagic, metaVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(testTag, b)
		if err != nil {
			return
		}
		again := encodeMeta(testTag, m)
		if b[1] == metaVersion && !bytes.Equal(again, b) {
			t.Errorf("decoded and encoded again:\n%x, was\n%x", again, b)
		}
		if !bytes.Equal(again[2:], b[2:len(again)]) {
			t.Errorf("the known part changed:\n%x, was\n%x", again, b)
		}
	})
}
