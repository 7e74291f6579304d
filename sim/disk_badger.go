// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/storage"
)

const (
	// SmallMemtable is a memtable that fills, and tables that are merged, within a minute of
	// a busy node. A commit, and so a record, is less than 85 KiB then: more than the
	// 64 KiB above which an object is split.
	SmallMemtable = 640 << 10
	// smallControl is the same of the few control records.
	smallControl = storage.RigMemtable
)

// BadgerConfig is how a disk with a Badger on it is made.
type BadgerConfig struct {
	// Dir is where its directory and copies of it are kept: a name that is not there yet,
	// in a directory that is. It should be on a tmpfs. Empty: everything is in memory.
	//
	// Runs of one seed are alike only where these names have the same length: the place of
	// everything that is allocated after them depends on it.
	Dir string
	// Small is for memtables of SmallMemtable.
	Small bool
}

// NewBadgerDisk returns an empty disk of the kind EngineBadgerTmpfs, or, without a
// directory, EngineBadgerMemory. It must be closed.
func NewBadgerDisk(cfg BadgerConfig) (*Disk, error) {
	d := newDisk()
	m := &folder{disk: d, cfg: cfg}
	m.index.reset()
	d.medium = m
	if cfg.Dir == "" {
		return d, nil
	}
	if err := os.Mkdir(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("sim: make a disk: %w", err)
	}
	if err := m.writeBoot(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(cfg.Dir))
	}
	return d, nil
}

// disk makes the disk of a host.
func (c Config) disk(host string) (*Disk, error) {
	cfg := BadgerConfig{Small: c.SmallMemtables}
	switch c.Engine {
	case EngineDisk:
		return NewDisk(), nil
	case EngineBadgerMemory:
		return NewBadgerDisk(cfg)
	case EngineBadgerTmpfs:
		if c.Dir == "" {
			return nil, errors.New("sim: an engine in a directory needs one: set Config.Dir")
		}
		cfg.Dir = filepath.Join(c.Dir, host)
		return NewBadgerDisk(cfg)
	}
	return nil, fmt.Errorf("sim: no engine has the number %d", c.Engine)
}

// folder is the medium of Badger: a node's directory, as storage makes it, inside of one
// that also holds those of dead processes, and copies.
//
// A process that is killed keeps its directory until its Badger, which nobody can stop,
// has closed; the next one gets a copy, as the directory was in that moment.
type folder struct {
	disk *Disk
	cfg  BadgerConfig

	closing sync.WaitGroup // of engines of dead processes

	// Guarded by the disk's mutex.
	index  index
	tenant *tenant // of the process that has it open
	made   int     // directories so far: the present one has the last number but for copies
	name   string  // of the present directory; empty where there is none yet
	broken error   // the first failure of the disk itself, which the next open tells
}

var _ medium = (*folder)(nil)

// tenant is what the process that has a folder open has of it.
type tenant struct {
	// Immutable.
	hold *hold
	path string       // empty in memory
	dir  *storage.Dir // nil in memory

	// Guarded by the disk's mutex.
	engines [parts]*badgerEngine
	open    int // engines that have not been closed
	dead    bool
}

func (m *folder) inMemory() bool { return m.cfg.Dir == "" }

func (m *folder) open(h *hold, g *gate, log *zap.Logger) (data, control storage.Engine, err error) {
	t, err := m.arrive(h)
	if err != nil {
		return nil, nil, err
	}
	var inner [parts]*storage.Badger
	if m.inMemory() {
		inner, err = m.openMemory(log)
	} else {
		t.dir, inner, err = m.openDir(t.path, log)
	}
	if err != nil {
		return nil, nil, err
	}
	if h.boot, err = m.boot(t); err == nil {
		err = m.install(t, g, inner)
	}
	if err != nil {
		return nil, nil, errors.Join(err, closeAll(inner), t.leave())
	}
	return t.engines[Data], t.engines[Control], nil
}

// arrive finds the directory that a process is to open.
func (m *folder) arrive(h *hold) (*tenant, error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	switch {
	case m.broken != nil:
		return nil, m.broken
	case m.inMemory():
		m.index.reset()
		return &tenant{hold: h}, nil
	case m.name == "":
		m.name = m.next("life")
	}
	return &tenant{hold: h, path: m.name}, nil
}

// next is a new name in the folder; those of one disk have one length.
func (m *folder) next(what string) string {
	m.made++
	return filepath.Join(m.cfg.Dir, fmt.Sprintf("%s %06d", what, m.made))
}

func (m *folder) openMemory(log *zap.Logger) (inner [parts]*storage.Badger, err error) {
	dir := m.dirConfig()
	for p, memtable := range [parts]int64{dir.Memtable, dir.ControlMemtable} {
		cfg := storage.BadgerConfig{Memtable: memtable, Compactors: dir.Compactors, Rig: dir.Rig}
		cfg.Rig.InMemory = true
		if inner[p], err = storage.OpenBadger(cfg, log); err != nil {
			return inner, errors.Join(err, closeAll(inner))
		}
	}
	return inner, nil
}

func (m *folder) openDir(path string, log *zap.Logger) (
	dir *storage.Dir, inner [parts]*storage.Badger, err error,
) {
	if dir, err = storage.OpenDir(path, m.dirConfig()); err != nil {
		return nil, inner, err
	}
	if inner[Data], err = dir.OpenData(log); err == nil {
		inner[Control], err = dir.OpenControlEngine(log)
	}
	if err != nil {
		return nil, inner, errors.Join(err, closeAll(inner), dir.Close())
	}
	return dir, inner, nil
}

func (m *folder) dirConfig() storage.DirConfig {
	cfg := storage.DefaultDirConfig()
	cfg.BootIDFile = filepath.Join(m.cfg.Dir, "boot")
	cfg.Memtable, cfg.ControlMemtable = storage.MinMemtable, storage.ControlMemtable
	if m.cfg.Small {
		cfg.Memtable, cfg.ControlMemtable = SmallMemtable, smallControl
	}
	cfg.Rig = storage.BadgerRig{Small: m.cfg.Small, KeepPages: true}
	return cfg
}

func closeAll(inner [parts]*storage.Badger) (err error) {
	for _, b := range inner {
		if b != nil {
			err = errors.Join(err, b.Close())
		}
	}
	return err
}

// boot is the machine's boot, as the product reads it where it has a directory.
func (m *folder) boot(t *tenant) (string, error) {
	if t.dir == nil {
		return t.hold.boot, nil
	}
	return t.dir.BootID()
}

func (m *folder) writeBoot() error {
	err := os.WriteFile(m.dirConfig().BootIDFile, []byte(bootName(m.disk.boots)+"\n"), 0o600)
	if err != nil {
		return fmt.Errorf("sim: write the boot id: %w", err)
	}
	return nil
}

// install hands the engines to the process, unless it has died meanwhile.
func (m *folder) install(t *tenant, g *gate, inner [parts]*storage.Badger) error {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if t.hold.fenced {
		return ErrFenced
	}
	for p, b := range inner {
		t.engines[p] = &badgerEngine{
			disk: m.disk, folder: m, tenant: t, part: Part(p), gate: g, inner: b, own: b.Limits(),
			newest: b.MaxVersion(),
		}
	}
	t.open = len(inner)
	m.tenant = t
	return nil
}

func (t *tenant) leave() error {
	if t.dir == nil {
		return nil
	}
	return t.dir.Close()
}

func (m *folder) losePower(*rand.Rand) int64 {
	if !m.inMemory() {
		m.fault(m.writeBoot())
	}
	return 0
}

func (m *folder) used() int64 { return m.index[Data].bytes + m.index[Control].bytes }

func (m *folder) flip(p Part, rng *rand.Rand) (string, bool) { return m.index[p].flip(rng) }

// fault remembers what the disk itself could not do.
func (m *folder) fault(err error) {
	if m.broken == nil && err != nil {
		m.broken = err
	}
}
