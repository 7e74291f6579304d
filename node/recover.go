// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// ErrNoMember refuses a directory that is not that of a member.
var ErrNoMember = errors.New("node: the directory is empty or not that of a member")

// Recovery is a recovery of the metadata group from the directory of one of its seats.
type Recovery struct {
	*meta.Recovery
	// Name and Cluster are who the directory belongs to.
	Name    string
	Cluster ring.ClusterID

	dir     *storage.Dir
	control *storage.Control
}

// PlanRecovery opens the directory of a node that does not run, and reads what a recovery
// from it would do. It changes nothing; the caller commits it or not, and closes it.
func PlanRecovery(path string, cfg storage.DirConfig, log *zap.Logger) (*Recovery, error) {
	if _, err := os.Stat(path); err != nil { // OpenDir would make it
		return nil, fmt.Errorf("node: recover: %w", err)
	}
	dir, err := storage.OpenDir(path, cfg)
	if err != nil {
		return nil, err
	}
	r := &Recovery{dir: dir}
	if dir.Fresh() {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrNoMember, path), r.Close())
	}
	if r.control, err = dir.OpenControl(log); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.plan(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Recovery) plan() error {
	record, found, err := r.control.Get(wire.KeyIdentity)
	if err == nil && !found {
		err = ErrNoMember
	}
	if err != nil {
		return fmt.Errorf("node: read identity: %w", err)
	}
	identity, err := wire.DecodeIdentityRecord(record)
	if err != nil {
		return fmt.Errorf("node: read identity: %w", err)
	}
	r.Name, r.Cluster = identity.Name, identity.Cluster
	record, found, err = r.control.Get(wire.KeyOpens)
	if err == nil && !found {
		err = storage.ErrUnreadable
	}
	if err != nil {
		return fmt.Errorf("node: read openings: %w", err)
	}
	opens, err := wire.DecodeOpensRecord(record)
	if err != nil {
		return fmt.Errorf("node: read openings: %w", err)
	}
	r.Recovery, err = meta.PlanRecovery(r.control, identity.Node, opens.List)
	return err
}

// Close gives the directory back.
func (r *Recovery) Close() error {
	var err error
	if r.control != nil {
		err = r.control.Close()
	}
	return errors.Join(err, r.dir.Close())
}
