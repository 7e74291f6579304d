// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// undo puts the control records back as an opening found them. A node that was opened
// and never ran has taken nothing in and has told nobody of its opening: the next one
// shall find what the last life left, a clean mark included, and not one more opening
// that nobody confirmed.
type undo struct {
	control *storage.Control
	records []storage.ControlRecord // none where the directory was empty
}

// remember reads what an opening will change.
func remember(control *storage.Control) (*undo, error) {
	u := &undo{control: control}
	for _, key := range []string{
		wire.KeyIdentity, wire.KeyOpens, wire.KeyCleanMark, wire.KeyRaftOpens,
	} {
		record, found, err := control.Get(key)
		if err != nil {
			return nil, fmt.Errorf("node: read %s: %w", key, err)
		}
		if key == wire.KeyIdentity && !found {
			return u, nil // then the opening writes nothing either
		}
		u.records = append(u.records, storage.ControlRecord{Key: key, Record: record})
	}
	return u, nil
}

// do undoes the opening.
func (u *undo) do() error {
	if len(u.records) == 0 {
		return nil
	}
	if err := u.control.Apply(u.records...); err != nil {
		return fmt.Errorf("node: undo opening: %w", err)
	}
	return nil
}
