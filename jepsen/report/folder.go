// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// The files of a run's folder.
const (
	HistoryFile = "history.jsonl"
	RunFile     = "run.json"
	ResultFile  = "result.json"
	PageFile    = "report.html"
)

// maxOps bounds a history that is shown: a million operations are a gigabyte of memory.
const maxOps = 4 << 20

// Folder is what Load finds.
type Folder struct {
	History *history.History
	// Cut says that the history has no end: the run was killed.
	Cut bool
	// Run is made of the history's header where there is no run.json.
	Run *Run
	// Result is nil where there is none.
	Result *checker.Report
}

// Load reads a run's folder.
func Load(dir string) (*Folder, error) {
	file, err := os.Open(filepath.Join(dir, HistoryFile))
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	f := &Folder{}
	f.History, err = history.ReadAll(file, maxOps)
	if f.Cut = f.History != nil && errors.Is(err, history.ErrCut); err != nil && !f.Cut {
		return nil, fmt.Errorf("report: %s: %w", file.Name(), err)
	}
	if f.Run, err = LoadRun(dir); errors.Is(err, fs.ErrNotExist) {
		f.Run, err = RunOf(f.History), nil
	}
	if err != nil {
		return nil, err
	}
	f.Result, err = loadResult(dir)
	return f, err
}

// LoadRun reads run.json alone; fs.ErrNotExist is in the error where there is none.
func LoadRun(dir string) (*Run, error) {
	r := &Run{}
	if err := loadJSON(filepath.Join(dir, RunFile), r); err != nil {
		return nil, err
	}
	return r, r.Check()
}

func loadResult(dir string) (*checker.Report, error) {
	r := &checker.Report{}
	switch err := loadJSON(filepath.Join(dir, ResultFile), r); {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrRun):
		return nil, nil // there is none, or it is that of a simulated run
	case err != nil:
		return nil, err
	}
	return r, nil
}

func loadJSON(path string, into any) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxRunBytes+1))
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if len(text) > maxRunBytes {
		return fmt.Errorf("%w: %s is longer than %d bytes", ErrRun, path, maxRunBytes)
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrRun, path, err)
	}
	return nil
}

// Save writes run.json into a folder, with this version in it.
func (r *Run) Save(dir string) error {
	r.Version = RunVersion
	if err := r.Check(); err != nil {
		return err
	}
	return saveJSON(filepath.Join(dir, RunFile), r)
}

// SaveResult writes result.json into a folder.
func SaveResult(dir string, r *checker.Report) error {
	return saveJSON(filepath.Join(dir, ResultFile), r)
}

func saveJSON(path string, from any) error {
	text, err := json.MarshalIndent(from, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %s: %w", path, err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// RunOf is what a history alone says of its run. Whether faults met something it does not
// say: those that are events of their own are taken to have done so.
func RunOf(h *history.History) *Run {
	r := &Run{
		Version: RunVersion, Seed: h.Header.Seed, Mode: h.Header.Mode, Commit: h.Header.Commit,
	}
	for _, name := range slices.Sorted(maps.Keys(h.Header.Labels)) {
		r.Settings = append(r.Settings, Setting{name, h.Header.Labels[name]})
	}
	for i := range h.Events {
		e := &h.Events[i]
		r.Faults = append(r.Faults, Fault{
			Kind: e.Name, Nodes: e.Nodes, From: e.From, Until: e.Until, Detail: e.Detail, Bit: true,
		})
	}
	return r
}
