// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/disk"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
)

// This test binary is also the process that has a store on the disk: the one that serves the
// disk must not map its files.
const (
	roleEnv = "DYNO_DISK_ROLE" // what it does: see play
	dirEnv  = "DYNO_DISK_DIR"

	writers   = 32
	valueSize = 1 << 10
	mapped    = 8 << 10
)

func play(role string) int {
	var err error
	switch role {
	case "write":
		err = writeStore(os.Getenv(dirEnv))
	case "read":
		err = readStore(os.Getenv(dirEnv), os.Stdin)
	case "mount":
		err = mountAgain(os.Getenv(dirEnv))
	case "die":
		if _, err = disk.Mount(os.Getenv(dirEnv), disk.Config{}); err == nil {
			err = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	case "map":
		err = mapFile(filepath.Join(os.Getenv(dirEnv), "f"))
	default:
		err = fmt.Errorf("there is no role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func openStore(dir string) (*storage.Dir, *storage.Store, error) {
	cfg := storage.DefaultDirConfig()
	cfg.Memtable = storage.MinMemtable // so that memtables fill and are flushed
	d, err := storage.OpenDir(dir, cfg)
	if err != nil {
		return nil, nil, err
	}
	engine, err := d.OpenData(zap.NewNop())
	if err != nil {
		return nil, nil, err
	}
	s, err := storage.Open(storage.DefaultConfig(), engine, zap.NewNop())
	return d, s, err
}

func value(counter uint64) []byte {
	return bytes.Repeat(strconv.AppendUint([]byte{'v'}, counter, 36), valueSize)[:valueSize]
}

// writeStore writes keys named for their numbers until it is killed or its store fails, and
// prints the number of each that was acknowledged.
func writeStore(dir string) error {
	_, s, err := openStore(dir)
	if err != nil {
		return err
	}
	var last atomic.Uint64
	var mu sync.Mutex
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for {
				n := last.Add(1)
				if writeOne(s, n) != nil {
					return
				}
				mu.Lock()
				fmt.Println(n)
				mu.Unlock()
			}
		})
	}
	err = s.Run(context.Background())
	group.Wait()
	return fmt.Errorf("the store has failed: %w", err)
}

func writeOne(s *storage.Store, n uint64) error {
	done := make(chan storage.Result, 1)
	err := s.Do(&storage.Op{
		Partition: uint16(n % 8), Bucket: 1, Key: strconv.AppendUint(nil, n, 10),
		Apply: func(c storage.Current) storage.Next {
			v := kv.Version{
				Dot:  vclock.Dot{Actor: 1<<48 | 3, Counter: n},
				Kind: kv.KindValue, Value: value(n),
			}.Sealed()
			object, err := c.Object.Put(v, c.Object.Context)
			if err != nil {
				return storage.Keep()
			}
			return storage.Put(object, nil, nil)
		},
		Done: func(r storage.Result) { done <- r },
	})
	if err != nil {
		return err
	}
	return (<-done).Err
}

// readStore looks for the numbers that it reads, and prints how many are missing.
func readStore(dir string, in io.Reader) error {
	d, s, err := openStore(dir)
	if err != nil {
		return fmt.Errorf("the store does not open: %w", err)
	}
	total, missing := 0, 0
	for lines := bufio.NewScanner(in); lines.Scan(); total++ {
		n, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			return err
		}
		c, err := s.Read(uint16(n%8), 1, lines.Bytes(), storage.ModeFull)
		if err != nil || c.State != storage.StatePresent || len(c.Object.Versions) != 1 ||
			!bytes.Equal(c.Object.Versions[0].Value, value(n)) {
			missing++
		}
	}
	fmt.Println(total, missing)
	return errors.Join(s.Close(), d.Close())
}

// another returns this binary in another role.
func another(t testing.TB, role, dir string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// writing is a process that writes.
type writing struct {
	cmd   *exec.Cmd
	errs  bytes.Buffer
	out   *bufio.Scanner
	acked []string
}

func startWriting(t testing.TB, dir string) *writing {
	t.Helper()
	w := &writing{cmd: another(t, "write", dir)}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.out, w.cmd.Stderr = bufio.NewScanner(out), &w.errs
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return w
}

// until reads what is acknowledged until there are so many, or no more.
func (w *writing) until(n int) bool {
	for len(w.acked) < n {
		if !w.out.Scan() {
			return false
		}
		w.acked = append(w.acked, w.out.Text())
	}
	return true
}

// end waits for the end of the process, after it has been killed or by itself. No line is
// cut short: each is one small write to a pipe.
func (w *writing) end() (exit int) {
	for w.out.Scan() {
		w.acked = append(w.acked, w.out.Text())
	}
	_ = w.cmd.Wait() // its exit code tells
	return w.cmd.ProcessState.ExitCode()
}

func (w *writing) kill() { _ = w.cmd.Process.Kill() }

// missing opens the store again and counts what was acknowledged and is not there.
func (w *writing) missing(t testing.TB, dir string) int {
	t.Helper()
	cmd := another(t, "read", dir)
	cmd.Stdin = strings.NewReader(strings.Join(w.acked, "\n"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("read: %v: %s", err, out)
	}
	var total, missing int
	if _, err := fmt.Sscan(string(out), &total, &missing); err != nil || total != len(w.acked) {
		t.Fatalf("read says %q: %v", out, err)
	}
	return missing
}

// watch kills a process that takes too long, so that no test waits for ever.
func (w *writing) watch(t testing.TB) {
	timer := time.AfterFunc(30*time.Second, w.kill)
	t.Cleanup(func() { timer.Stop() })
}

// mapFile writes into a map of a file, says so, and writes more once it is told to.
func mapFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, mapped, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	copy(data, "before")
	fmt.Println("written")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return err
	}
	copy(data[mapped/2:], "after") // which the kernel may refuse with a signal
	return unix.Msync(data, unix.MS_SYNC)
}

// mountAgain is what a rig without root does: it mounts a disk in namespaces of its own, and
// looks whether it loses what it should.
func mountAgain(dir string) error {
	d, err := disk.Mount(dir, disk.Config{})
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		return err
	}
	_, err1 := f.WriteString("synced")
	err2 := f.Sync()
	_, err3 := f.WriteString(" and not")
	if err := errors.Join(err1, err2, err3, f.Close()); err != nil {
		return err
	}
	if _, err := d.PowerLoss(false); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, "f"))
	if err == nil && string(data) != "synced" {
		err = fmt.Errorf("after a loss of power there is %q", data)
	}
	return errors.Join(err, d.Close())
}
