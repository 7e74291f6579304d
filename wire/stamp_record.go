// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// AppendStampMarkRecord appends the record of the store's stamp mark: 8 bytes, big-endian.
func AppendStampMarkRecord(dst []byte, mark kv.Stamp) []byte {
	payload := binary.BigEndian.AppendUint64(nil, uint64(mark))
	return AppendRecord(dst, FormatStampMark, AppendStampMarkKey(nil), payload)
}

// DecodeStampMarkRecord reads the record of the store's stamp mark. It returns ErrRecord.
func DecodeStampMarkRecord(rec []byte) (kv.Stamp, error) {
	payload, err := openAs(FormatStampMark, AppendStampMarkKey(nil), rec)
	if err != nil {
		return 0, err
	}
	if len(payload) < 8 {
		return 0, fmt.Errorf("%w: %d bytes of stamp mark", ErrRecord, len(payload))
	}
	return kv.Stamp(binary.BigEndian.Uint64(payload)), nil
}
