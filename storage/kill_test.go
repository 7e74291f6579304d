// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// childEnv makes this test binary the process that is killed: the directory to write
// to, and the number of its life.
const (
	childEnv     = "DYNO_STORAGE_CHILD"
	childLifeEnv = "DYNO_STORAGE_CHILD_LIFE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := runChild(dir, os.Getenv(childLifeEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const childKeys = 300

func childKey(n int) string { return fmt.Sprintf("key-%03d", n) }

// childValue can be made again from the counter of its dot, and is large enough to fill
// memtables.
func childValue(counter uint64) []byte {
	size := 1<<10 + int(counter%7)<<10
	return bytes.Repeat(strconv.AppendUint([]byte{'v'}, counter, 36), size/4)
}

// runChild writes until it is killed, and prints "key counter" of what is acknowledged.
func runChild(dir, life string) error {
	lifeNumber, err := strconv.ParseUint(life, 10, 32)
	if err != nil {
		return err
	}
	d, err := OpenDir(dir, killDirConfig())
	if err != nil {
		return err
	}
	engine, err := d.OpenData(zap.NewNop())
	if err != nil {
		return err
	}
	s, err := Open(DefaultConfig(), engine, zap.NewNop())
	if err != nil {
		return err
	}
	var dots atomic.Uint64
	dots.Store(lifeNumber * 1_000_000)
	var mu sync.Mutex
	out := bufio.NewWriterSize(os.Stdout, 0)
	ack := func(key string, counter uint64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, "%s %d\n", key, counter)
		_ = out.Flush() // the parent may be reading no more
	}
	for w := range 16 {
		go childWriter(s, w, &dots, ack)
	}
	return s.Run(context.Background())
}

func childWriter(s *Store, w int, dots *atomic.Uint64, ack func(string, uint64)) {
	rng := rand.New(rand.NewPCG(dots.Load(), uint64(w)))
	done := make(chan Result, 1)
	for {
		key := childKey(rng.IntN(childKeys))
		var counter uint64
		err := s.Do(&Op{
			Partition: partitionOf(key), Bucket: 1, Key: []byte(key),
			Apply: func(c Current) Next {
				counter = dots.Add(1)
				v := kv.Version{
					Dot:  vclock.Dot{Actor: 1<<48 | 3, Counter: counter},
					Kind: kv.KindValue, Value: childValue(counter),
				}.Sealed()
				object, err := c.Object.Put(v, c.Object.Context)
				if err != nil {
					return Keep()
				}
				return Put(object, nil, nil)
			},
			Done: func(r Result) { done <- r },
		})
		if err != nil {
			continue
		}
		if r := <-done; r.Err == nil {
			ack(key, counter)
		}
	}
}

func killDirConfig() DirConfig {
	cfg := DefaultDirConfig()
	cfg.Memtable = MinMemtable // so that memtables fill and are flushed
	return cfg
}

// TestKillNineLosesNothing kills a process in the middle of a write load, 20 times on
// the same directory, and looks for every write that it had acknowledged.
func TestKillNineLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a killed process fails no test by a race it reports; `make test` kills 20")
	}
	dir := filepath.Join(t.TempDir(), "node")
	rng := rand.New(rand.NewPCG(1, 9))
	acked := make(map[string]uint64) // the newest counter, by key
	total := 0
	for life := 1; life <= 20; life++ {
		total += killOnce(t, dir, life, time.Duration(50+rng.IntN(250))*time.Millisecond, acked)
		checkAfterKill(t, dir, life, acked)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d writes were acknowledged before a kill", total)
	if total < 1000 {
		t.Errorf("only %d writes were acknowledged: the test tests nothing", total)
	}
}

// killOnce runs a child for a while from its first acknowledged write on.
func killOnce(
	t *testing.T, dir string, life int, last time.Duration, acked map[string]uint64,
) (n int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, fmt.Sprintf("%s=%d", childLifeEnv, life))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a cut-off line was not acknowledged to anybody
		}
		if err != nil {
			t.Fatal(err)
		}
		var key string
		var counter uint64
		if _, err := fmt.Sscanf(line, "%s %d", &key, &counter); err != nil {
			t.Fatalf("child says %q: %v", line, err)
		}
		acked[key] = max(acked[key], counter)
		if n++; n == 1 {
			time.AfterFunc(last, func() { _ = cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() > 0 {
		t.Fatalf("life %d ended with %v before it was killed", life, err)
	}
	return n
}

func checkAfterKill(t *testing.T, dir string, life int, acked map[string]uint64) {
	t.Helper()
	d, err := OpenDir(dir, killDirConfig())
	if err != nil {
		t.Fatalf("life %d: %v", life, err)
	}
	engine, err := d.OpenData(zap.NewNop())
	if err != nil {
		t.Fatalf("life %d: %v", life, err)
	}
	s, err := Open(DefaultConfig(), engine, zap.NewNop())
	if err != nil {
		t.Fatalf("life %d: %v", life, err)
	}
	for key, counter := range acked {
		c, err := s.Read(partitionOf(key), 1, []byte(key), ModeFull)
		if err != nil || c.State != StatePresent || len(c.Object.Versions) != 1 {
			t.Errorf("life %d: %s is %s, %v %v", life, key, c.State, c.Err, err)
			continue
		}
		v := c.Object.Versions[0]
		if v.Dot.Counter < counter {
			t.Errorf("life %d: %s has write %d, but %d was acknowledged", life, key, v.Dot.Counter, counter)
		}
		if !bytes.Equal(v.Value, childValue(v.Dot.Counter)) {
			t.Errorf("life %d: %s has another value than write %d gave it", life, key, v.Dot.Counter)
		}
	}
	if err := errors.Join(s.Close(), d.Close()); err != nil {
		t.Fatalf("life %d: %v", life, err)
	}
}
