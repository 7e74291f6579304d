// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
)

// OnMachine makes a node use this machine: TCP, Badger below its directory, and the
// kernel's source of chance.
func (c *Config) OnMachine(store storage.DirConfig) {
	var listen net.ListenConfig
	var dial net.Dialer
	c.Listen = func(ctx context.Context, addr string) (net.Listener, error) {
		return listen.Listen(ctx, "tcp", addr)
	}
	c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		return dial.DialContext(ctx, "tcp", addr)
	}
	reserve := c.Storage.LowWater
	c.OpenStores = func(dir string, log *zap.Logger) (*Stores, error) {
		return openStores(dir, store, reserve, log)
	}
	c.Rand = rand.New(rand.NewPCG(random64(), random64()))
	c.Random48 = func() uint64 { return max(1, random64()&vclock.MaxIncarnation) }
}

// openStores opens a node's directory on Badger.
func openStores(
	dir string, cfg storage.DirConfig, reserve uint64, log *zap.Logger,
) (*Stores, error) {
	d, err := storage.OpenDir(dir, cfg)
	if err != nil {
		return nil, err
	}
	if err := checkRoom(d, reserve); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	boot, err := d.BootID()
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	data, err := d.OpenData(log)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	control, err := d.OpenControl(log.Named("control"))
	if err != nil {
		return nil, errors.Join(err, data.Close(), d.Close())
	}
	return &Stores{
		Data: data, Control: control, Boot: boot, FreeBytes: d.FreeBytes, Release: d.Close,
	}, nil
}

// checkRoom refuses to open engines on a disk below its reserve. They write when they are
// opened, and one that writes to a full disk takes the process with it.
func checkRoom(d *storage.Dir, reserve uint64) error {
	free, err := d.FreeBytes()
	if err != nil {
		return err
	}
	if free < reserve {
		return fmt.Errorf("%w: %d bytes are free, and a reserve of %d is kept",
			storage.ErrDiskFull, free, reserve)
	}
	return nil
}

func random64() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}
