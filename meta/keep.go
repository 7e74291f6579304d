// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// load begins with the view that an earlier life of this node has kept.
func (v *views) load(control *storage.Control, cluster ring.ClusterID) error {
	record, found, err := control.Get(wire.KeyRaftView)
	if err != nil {
		return fmt.Errorf("meta: read the last view: %w", err)
	}
	if !found {
		return nil
	}
	encoded, err := wire.DecodeRaftViewRecord(record)
	if err != nil {
		return fmt.Errorf("meta: read the last view: %w", err)
	}
	view, err := state.DecodeView(encoded)
	if err != nil {
		return fmt.Errorf("meta: read the last view: %w", err)
	}
	if view.Cluster != cluster {
		return fmt.Errorf("meta: the last view is one of cluster %s, this node belongs to %s",
			view.Cluster, cluster)
	}
	v.offer(view)
	return nil
}

// keepViews makes each newest view durable, in a record that the next life begins with.
// What comes while one is being written is written next, the newest only. A view that no
// record holds is skipped and told of: the node then begins with an older one.
func (g *Group) keepViews(ctx context.Context) error {
	changed, done := g.Watch()
	defer done()
	kept := g.View() // it came from the record
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		newest := g.View()
		if newest == kept {
			continue
		}
		record := wire.AppendRaftViewRecord(nil, state.AppendView(nil, newest))
		if err := g.cfg.Control.Put(wire.KeyRaftView, record); err != nil {
			if errors.Is(err, storage.ErrFailed) {
				return fmt.Errorf("meta: keep the view: %w", err)
			}
			g.log.Error("the view can not be kept", zap.Error(err))
		}
		kept = newest
	}
}
