// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/wire"
)

func openDir(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path, killDirConfig())
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	return d
}

func TestADirectoryIsMadeAndFoundAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "above", "node")
	d := openDir(t, path)
	if !d.Fresh() {
		t.Error("a new directory is not fresh")
	}
	engine, err := d.OpenData(zapTest(t))
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, engine, 1, set("k", "v"))
	ctl, err := d.OpenControl(zapTest(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := ctl.Put(wire.KeyIdentity, identity("a")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ctl.Close(), engine.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, path)
	defer d.Close()
	if d.Fresh() {
		t.Error("a used directory is fresh")
	}
	if engine, err = d.OpenData(zapTest(t)); err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	if got := get(t, engine, "k", 1); got != "v" {
		t.Errorf("k is %q, want v", got)
	}
	if free, err := d.FreeBytes(); err != nil || free == 0 {
		t.Errorf("%d bytes are free, %v", free, err)
	}
}

func TestAForeignDirectoryIsRefusedAndLeftAlone(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a file":      func(p string) error { return os.WriteFile(filepath.Join(p, "notes.txt"), []byte("x"), 0o600) },
		"a directory": func(p string) error { return os.Mkdir(filepath.Join(p, "src"), 0o700) },
		"data without a format": func(p string) error {
			if err := os.Mkdir(filepath.Join(p, dataDir), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(p, dataDir, "MANIFEST"), []byte("x"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			before := names(t, path)
			if _, err := OpenDir(path, killDirConfig()); !errors.Is(err, ErrForeign) {
				t.Errorf("%v, want ErrForeign", err)
			}
			if after := names(t, path); !slices.Equal(after, before) {
				t.Errorf("the directory has %q now, it had %q", after, before)
			}
		})
	}
}

func names(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAnUnknownFormatIsRefused(t *testing.T) {
	for _, format := range []string{"dyno store 2\n", "", "dyno store 1"} {
		path := t.TempDir()
		if err := os.WriteFile(filepath.Join(path, formatFile), []byte(format), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDir(path, killDirConfig()); !errors.Is(err, ErrFormat) {
			t.Errorf("format %q: %v, want ErrFormat", format, err)
		}
	}
}

func TestAFirstOpenThatWasCutOffIsTriedAgain(t *testing.T) {
	path := t.TempDir()
	for _, name := range []string{dataDir, controlDir, "lost+found"} {
		if err := os.Mkdir(filepath.Join(path, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{lockFile, formatFile + ".new"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("dyno st"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := openDir(t, path)
	defer d.Close()
	if !d.Fresh() {
		t.Error("nothing was stored; the directory is fresh")
	}
}

// TestADirectoryOfWhichAPartIsGoneIsRefused: opened anew, an empty one would say of all
// that was stored that it never was.
func TestADirectoryOfWhichAPartIsGoneIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node")
	d := openDir(t, path)
	data, err := d.OpenData(zapTest(t))
	if err != nil {
		t.Fatal(err)
	}
	control, err := d.OpenControl(zapTest(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(control.Close(), data.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dataDir, controlDir} {
		part, aside := filepath.Join(path, name), filepath.Join(path, "aside")
		if err := os.Rename(part, aside); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDir(path, killDirConfig()); !errors.Is(err, ErrMissing) {
			t.Errorf("without %s: %v, want ErrMissing", name, err)
		}
		if _, err := os.Stat(part); err == nil {
			t.Errorf("%s was made", name)
		}
		if err := os.Rename(aside, part); err != nil {
			t.Fatal(err)
		}
	}
	// The mount point of a disk that is not mounted.
	aside := filepath.Join(path, "aside")
	if err := os.Rename(filepath.Join(path, dataDir), aside); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(path, dataDir), 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(path, killDirConfig()); !errors.Is(err, ErrMissing) {
		t.Errorf("with empty data: %v, want ErrMissing", err)
	}
	// A first open that was cut off before there were control records lacks nothing.
	if err := os.RemoveAll(filepath.Join(path, controlDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(path, controlDir), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := openDir(t, path).Close(); err != nil {
		t.Error(err)
	}
}

func TestAFileIsNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(path, killDirConfig()); err == nil {
		t.Error("opened a file")
	}
}

func TestASecondOpenIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node")
	d := openDir(t, path)
	if _, err := OpenDir(path, killDirConfig()); !errors.Is(err, ErrLocked) {
		t.Errorf("%v, want ErrLocked", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openDir(t, path).Close(); err != nil {
		t.Error(err)
	}
}

// TestASecondProcessIsRefused starts another process on a directory that is open here.
func TestASecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node")
	d := openDir(t, path)
	defer d.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path, childLifeEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte(ErrLocked.Error())) {
		t.Errorf("the second process ended with %v and said %q", err, out)
	}
	// The engine has a lock of its own, for directories that are opened without ours.
	engine, err := d.OpenData(zapTest(t))
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	cfg := DefaultBadgerConfig(filepath.Join(path, dataDir))
	if _, err := OpenBadger(cfg, zapTest(t)); !errors.Is(err, ErrLocked) {
		t.Errorf("%v, want ErrLocked", err)
	}
}

func TestBootIDIsReadFromItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "boot_id")
	d := &Dir{cfg: DirConfig{BootIDFile: file}}
	if _, err := d.BootID(); err == nil {
		t.Error("a boot id without a file")
	}
	for text, want := range map[string]string{"c0ffee\n": "c0ffee", "\n": ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := d.BootID()
		if id != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, id, err, want)
		}
	}
	d.cfg = DefaultDirConfig()
	if id, err := d.BootID(); err != nil || id == "" {
		t.Errorf("this machine's boot id is %q, %v", id, err)
	}
}
