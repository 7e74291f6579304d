// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// The layout of a node's directory:
//
//	FORMAT    "dyno store 1": what all of this is
//	LOCK      flocked by the process that has the directory open
//	data/     the engine of the data
//	control/  the engine of the control records
const (
	formatFile = "FORMAT"
	formatText = "dyno store 1\n"
	lockFile   = "LOCK"
	dataDir    = "data"
	controlDir = "control"
)

var (
	// ErrForeign refuses a directory that holds something else.
	ErrForeign = errors.New("storage: the directory is not empty and holds no dyno store")
	// ErrFormat refuses a directory that another version of dyno wrote.
	ErrFormat = errors.New("storage: the directory has another format")
	// ErrMissing refuses a directory of ours of which a part is gone: an empty one in its
	// place would answer that nothing was ever stored.
	ErrMissing = errors.New("storage: a part of the directory is missing; is its disk mounted?")
)

// DirConfig says how a node's directory is opened.
type DirConfig struct {
	// Memtable is the size of a memtable of the data, in bytes; at least MinMemtable.
	Memtable int64
	// Compactors is how many goroutines compact the data, at least 2.
	Compactors int
	// ControlMemtable is the same of the control records; 0 is the constant of that name.
	ControlMemtable int64
	// BootIDFile is where the kernel tells the id of its boot.
	BootIDFile string
	// Rig is the zero value in a product build. Its engines are never in memory.
	Rig BadgerRig
}

// DefaultDirConfig suits a node that shares its machine.
func DefaultDirConfig() DirConfig {
	return DirConfig{
		Memtable:   DefaultMemtable,
		Compactors: 2,
		BootIDFile: "/proc/sys/kernel/random/boot_id",
	}
}

// Dir is a node's directory, opened by this process and no other.
type Dir struct {
	path  string
	cfg   DirConfig
	lock  *os.File
	fresh bool
}

// OpenDir opens a node's directory, or makes one where there is nothing or an empty
// directory. It returns ErrLocked where another process has it open, ErrForeign where
// something else is in it, ErrFormat where its format is not known, and ErrMissing where
// a part of it is gone. A directory that it refuses is left as it was.
func OpenDir(path string, cfg DirConfig) (*Dir, error) {
	if err := makeDir(path); err != nil {
		return nil, err
	}
	if _, err := inspect(path); err != nil {
		return nil, err
	}
	lock, err := flock(filepath.Join(path, lockFile))
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, cfg: cfg, lock: lock}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Dir) prepare() (err error) {
	// Another process may have been here before we had the lock.
	if d.fresh, err = inspect(d.path); err != nil {
		return err
	}
	if !d.fresh {
		return checkParts(d.path)
	}
	for _, name := range []string{dataDir, controlDir} {
		if err := makeDir(filepath.Join(d.path, name)); err != nil {
			return err
		}
	}
	return writeFormat(d.path)
}

// checkParts looks for what a directory with a format has. The engine of the data is
// made before that of the control records.
func checkParts(path string) error {
	parts := []string{dataDir, controlDir}
	if _, err := os.Stat(filepath.Join(path, controlDir, badger.ManifestFilename)); err == nil {
		parts = append(parts, filepath.Join(dataDir, badger.ManifestFilename))
	}
	for _, name := range parts {
		if _, err := os.Stat(filepath.Join(path, name)); err != nil {
			return fmt.Errorf("%w: %w", ErrMissing, err)
		}
	}
	return nil
}

// Path is the directory's path.
func (d *Dir) Path() string { return d.path }

// Fresh reports whether OpenDir made the store: nothing was there before.
func (d *Dir) Fresh() bool { return d.fresh }

// OpenData opens the engine of the data.
func (d *Dir) OpenData(log *zap.Logger) (*Badger, error) {
	return OpenBadger(BadgerConfig{
		Dir:        filepath.Join(d.path, dataDir),
		Memtable:   d.cfg.Memtable,
		Compactors: d.cfg.Compactors,
		Rig:        d.cfg.Rig,
	}, log)
}

// OpenControl opens the control records. OpenData comes first: once there are control
// records, data that are gone are missed.
func (d *Dir) OpenControl(log *zap.Logger) (*Control, error) {
	engine, err := d.OpenControlEngine(log)
	if err != nil {
		return nil, err
	}
	return OpenControl(engine, log), nil
}

// OpenControlEngine opens the engine of the control records, for who puts something
// between it and its Control.
func (d *Dir) OpenControlEngine(log *zap.Logger) (*Badger, error) {
	memtable := d.cfg.ControlMemtable
	if memtable == 0 {
		memtable = ControlMemtable
	}
	return OpenBadger(BadgerConfig{
		Dir:      filepath.Join(d.path, controlDir),
		Memtable: memtable,
		Rig:      d.cfg.Rig,
	}, log)
}

// FreeBytes is how many bytes the directory's file system can still take.
func (d *Dir) FreeBytes() (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(d.path, &stat); err != nil {
		return 0, fmt.Errorf("storage: statfs %s: %w", d.path, err)
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}

// BootID names the present boot of the machine. A store that finds another one than
// it remembers, and no clean mark, went through a power loss (TRAPS C6).
func (d *Dir) BootID() (string, error) {
	text, err := os.ReadFile(d.cfg.BootIDFile)
	if err != nil {
		return "", fmt.Errorf("storage: read the boot id: %w", err)
	}
	id := strings.TrimSpace(string(text))
	if id == "" {
		return "", fmt.Errorf("storage: the boot id in %s is empty", d.cfg.BootIDFile)
	}
	return id, nil
}

// Close lets other processes have the directory. The engines must be closed.
func (d *Dir) Close() error { return d.lock.Close() }

// inspect tells a directory of ours from an empty one (fresh), and refuses all others.
func inspect(path string) (fresh bool, err error) {
	format, err := os.ReadFile(filepath.Join(path, formatFile))
	switch {
	case err == nil && string(format) == formatText:
		return false, nil
	case err == nil:
		return false, fmt.Errorf("%w: %s says %.64q, this build knows %q",
			ErrFormat, filepath.Join(path, formatFile), format, formatText)
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("storage: read format: %w", err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, fmt.Errorf("storage: read directory: %w", err)
	}
	for _, entry := range entries {
		if !leftover(path, entry) {
			return false, fmt.Errorf("%w: %s has %q; name another directory, or empty it",
				ErrForeign, path, entry.Name())
		}
	}
	return true, nil
}

// leftover reports whether an entry is what a new file system has, or what an OpenDir
// that was cut off left behind.
func leftover(path string, entry fs.DirEntry) bool {
	switch entry.Name() {
	case "lost+found", lockFile, formatFile + ".new":
		return true
	case dataDir, controlDir:
		inside, err := os.ReadDir(filepath.Join(path, entry.Name()))
		return err == nil && len(inside) == 0
	}
	return false
}

// writeFormat makes the directory ours: complete, or not at all.
func writeFormat(path string) error {
	temporary := filepath.Join(path, formatFile+".new")
	file, err := os.Create(temporary)
	if err != nil {
		return fmt.Errorf("storage: write format: %w", err)
	}
	_, err = file.WriteString(formatText)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(temporary, filepath.Join(path, formatFile))
	}
	if err != nil {
		return fmt.Errorf("storage: write format: %w", err)
	}
	return syncDir(path)
}

// makeDir makes a directory with all above it, unless it is there, and makes its name
// durable.
func makeDir(path string) error {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("storage: %s is no directory", path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("storage: look at directory: %w", err)
	}
	parent := filepath.Dir(path)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("storage: make directory: %w", err)
	}
	return syncDir(parent)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("storage: open directory: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("storage: sync directory %s: %w", path, err)
	}
	return nil
}

// flock takes the lock of a directory. The kernel gives it back when the process ends,
// however it ends.
func flock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("storage: open lock: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return file, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s", ErrLocked, filepath.Dir(path))
	} else {
		err = fmt.Errorf("storage: lock %s: %w", path, err)
	}
	return nil, errors.Join(err, file.Close())
}
