// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"testing"
)

func TestTheRecordOfAViewOpensAsThatAlone(t *testing.T) {
	rec := AppendRaftViewRecord(nil, []byte("view"))
	if view, err := DecodeRaftViewRecord(rec); err != nil || !bytes.Equal(view, []byte("view")) {
		t.Errorf("view is %q, %v", view, err)
	}
	other := AppendRecord(nil, FormatRaftOpens, []byte(KeyRaftView), []byte("view"))
	for _, rec := range [][]byte{nil, rec[:len(rec)-1], other} {
		if _, err := DecodeRaftViewRecord(rec); !errors.Is(err, ErrRecord) {
			t.Errorf("%d bytes are a view: %v", len(rec), err)
		}
	}
}
