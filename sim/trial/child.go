// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/sim/overlay"
	"github.com/dyno-kv/dyno/sim/plan"
)

// The files that Child leaves in its folder.
const (
	ResultFile  = "result.json"
	HistoryFile = "history.jsonl"
	LogFile     = "log.txt" // warnings and errors of the nodes
	diskFolder  = "disks"
)

// Child runs the plan in a file, in a bubble of this process, and writes what it showed to
// outDir. It is the whole of a process's work and does not return: the process ends with
// code 0 if the result is there, whatever it says.
//
// A bubble belongs to a test, so this borrows the main function of one. It reads flags from
// the command line: the first argument of the process must be none.
func Child(planFile, outDir string) {
	testing.Main(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "trial", F: func(t *testing.T) {
			if err := child(t, planFile, outDir); err != nil {
				t.Fatal(err)
			}
		}}}, nil, nil)
}

func child(t *testing.T, planFile, outDir string) error {
	began := time.Now()
	p, err := readPlan(planFile)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(outDir, LogFile))
	if err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	o := Options{Dir: filepath.Join(outDir, diskFolder), Log: logger(log)}
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	var record *Record
	synctest.Test(t, func(*testing.T) { record, err = Run(p, o) })
	if err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	res, err := record.Judge()
	if err != nil {
		return err
	}
	res.Edits, res.Replayable = overlay.Running()
	res.Mutant = string(mutant.Active())
	res.Wall = time.Since(began)
	res.CPU, res.Peak = usage()
	if err := writeHistory(filepath.Join(outDir, HistoryFile), record.History); err != nil {
		return err
	}
	return writeResult(filepath.Join(outDir, ResultFile), res)
}

func logger(f *os.File) *zap.Logger {
	enc := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(f), zap.WarnLevel))
}

func readPlan(name string) (*plan.Plan, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("trial: %w", err)
	}
	defer f.Close()
	return plan.Read(f)
}

func writeHistory(name string, h *history.History) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	if err := history.WriteAll(f, h); err != nil {
		return fmt.Errorf("trial: write the history: %w", err)
	}
	return f.Close()
}

func writeResult(name string, res *Result) error {
	text, err := json.MarshalIndent(res, "", " ")
	if err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	return os.WriteFile(name, text, 0o600)
}

// usage is what the process has taken so far.
func usage() (cpu time.Duration, peak int64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	const kib = 1024
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Maxrss * kib
}
