// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"encoding/hex"
	"testing"
)

// The vectors stand in clients and on disks: a change of them is a new format.
func TestEncodingsAndTokensAreThoseOfTheVectors(t *testing.T) {
	actor, err := NewActor(258, 0x0a0b0c0d0e0f)
	if err != nil {
		t.Fatal(err)
	}
	bucket, key := uint32(1), []byte("user:1")
	for _, tc := range []struct {
		name    string
		context Context
		bytes   string
		token   string
		stamped string
	}{
		{"empty", Context{},
			"0000",
			"010000" + "96e5a160a39bb91d",
			"02" + "018bcfe5687b0007" + "0000" + "dc342a335a0118d1"},
		{"one entry", VectorOf(Dot{actor, 300}),
			"0100" + "01020a0b0c0d0e0f" + "ac02",
			"01" + "0100" + "01020a0b0c0d0e0f" + "ac02" + "5299e43f3febcd4e",
			"02" + "018bcfe5687b0007" + "0100" + "01020a0b0c0d0e0f" + "ac02" + "86a1a56203332194"},
		{"one dot", ContextOf(Dot{actor, 300}),
			"0001" + "01020a0b0c0d0e0f" + "ac02",
			"01" + "0001" + "01020a0b0c0d0e0f" + "ac02" + "c5f3c226b8ab6b1e",
			"02" + "018bcfe5687b0007" + "0001" + "01020a0b0c0d0e0f" + "ac02" + "dc965227e9e22c88"},
		{"entry and dots",
			VectorOf(Dot{1, 2}, Dot{actor, 7}).Join(ContextOf(Dot{actor, 9}, Dot{1, MaxCounter})),
			"0202" + "0000000000000001" + "02" + "01020a0b0c0d0e0f" + "07" +
				"0000000000000001" + "808080808080808040" + "01020a0b0c0d0e0f" + "09",
			"01" + "0202" + "0000000000000001" + "02" + "01020a0b0c0d0e0f" + "07" +
				"0000000000000001" + "808080808080808040" + "01020a0b0c0d0e0f" + "09" +
				"754bae47bcc5a788",
			"02" + "018bcfe5687b0007" + "0202" + "0000000000000001" + "02" +
				"01020a0b0c0d0e0f" + "07" + "0000000000000001" + "808080808080808040" +
				"01020a0b0c0d0e0f" + "09" + "027be1cd75efaf72"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := hex.EncodeToString(tc.context.Append(nil)); got != tc.bytes {
				t.Errorf("encoding is %s, want %s", got, tc.bytes)
			}
			b := Bind(testCluster, bucket, key)
			if got := hex.EncodeToString(AppendToken(nil, b, tc.context)); got != tc.token {
				t.Errorf("token is %s, want %s", got, tc.token)
			}
			const stamp = 0x018bcfe5687b0007
			stamped := AppendStampedToken(nil, b, tc.context, stamp)
			if got := hex.EncodeToString(stamped); got != tc.stamped {
				t.Errorf("stamped token is %s, want %s", got, tc.stamped)
			}
			raw, err := hex.DecodeString(tc.bytes)
			if err != nil {
				t.Fatal(err)
			}
			if c, err := Decode(raw); err != nil || !c.Equal(tc.context) {
				t.Errorf("decoded %s, %v; want %s", c, err, tc.context)
			}
		})
	}
}
