// SPDX-License-Identifier: Apache-2.0

package wire

// AppendRaftViewRecord appends the record that stands under KeyRaftView: a view, as
// package state encodes it.
func AppendRaftViewRecord(dst, view []byte) []byte {
	return AppendRecord(dst, FormatRaftView, []byte(KeyRaftView), view)
}

// DecodeRaftViewRecord reads the record that stands under KeyRaftView; the view aliases
// it. It returns ErrRecord for anything else.
func DecodeRaftViewRecord(rec []byte) (view []byte, err error) {
	return openAs(FormatRaftView, []byte(KeyRaftView), rec)
}
