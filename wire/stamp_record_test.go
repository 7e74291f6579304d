// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

// The record stands on disks: a change of its bytes is a new format.
func TestStampMarksAreThoseOfTheVector(t *testing.T) {
	mark := kv.StampAt(1_700_000_000_123) + 7
	rec := AppendStampMarkRecord(nil, mark)
	if got := hex.EncodeToString(rec); got != "0f000000087a08a8f914cc241de8a6a036018bcfe5687b0007" {
		t.Errorf("the record is %s", got)
	}
	if got, err := DecodeStampMarkRecord(rec); err != nil || got != mark {
		t.Errorf("read %d, %v", got, err)
	}
	longer := AppendRecord(nil, FormatStampMark, AppendStampMarkKey(nil),
		append([]byte{0, 0, 0, 0, 0, 0, 0, 9}, "of a later release"...))
	if got, err := DecodeStampMarkRecord(longer); err != nil || got != 9 {
		t.Errorf("of a longer one: %d, %v", got, err)
	}
}

func TestWhatIsNoStampMarkIsRefused(t *testing.T) {
	good := AppendStampMarkRecord(nil, 77)
	short := AppendRecord(nil, FormatStampMark, AppendStampMarkKey(nil), []byte{1, 2, 3})
	other := AppendRecord(nil, FormatJournal, AppendStampMarkKey(nil), make([]byte, 8))
	for name, rec := range map[string][]byte{
		"nothing": nil, "cut off": good[:len(good)-1], "too short": short, "another format": other,
		"damaged": append(append([]byte{}, good[:len(good)-1]...), good[len(good)-1]^1),
	} {
		if got, err := DecodeStampMarkRecord(rec); !errors.Is(err, ErrRecord) || got != 0 {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}
