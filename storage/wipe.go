// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"fmt"

	"github.com/dyno-kv/dyno/wire"
)

// wipeKeys is how many records of a store that is wiped go with one commit: whoever is to
// end meanwhile waits for one.
const wipeKeys = 4096

// Wipe removes all that an engine holds for a store, objects, hints and the journal, before
// a Store is opened on it. The stamp mark stays: the clocks must not go back behind what
// others have of this node. It is durable when it returns; one that was broken off, by ctx
// or by a crash, leaves a part, and is begun anew.
func Wipe(ctx context.Context, engine Engine) error {
	ts := engine.MaxVersion()
	limits := engine.Limits()
	mark := wire.AppendStampMarkKey(nil)
	for from := []byte(nil); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var writes []Write
		size := 0
		err := engine.Iterate(ts, nil, from, func(key, _ []byte) bool {
			if bytes.Equal(key, mark) {
				return true
			}
			w := Write{Key: bytes.Clone(key), Delete: true}
			if len(writes) > 0 && size+w.size() > limits.Bytes {
				return false
			}
			size += w.size()
			writes = append(writes, w)
			return len(writes) < min(wipeKeys, limits.Count)
		})
		if err == nil && len(writes) == 0 {
			return nil
		}
		if err == nil {
			ts++
			from = writes[len(writes)-1].Key
			err = engine.Commit(ts, writes)
		}
		if err != nil {
			return fmt.Errorf("storage: wipe: %w", err)
		}
		engine.SetDiscard(ts)
	}
}
