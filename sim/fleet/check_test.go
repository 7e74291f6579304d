// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/sim/trial"
)

// generated is a valid history with every kind of operation.
func generated(t *testing.T, seed uint64) *history.History {
	t.Helper()
	h, err := checker.Generate(rand.New(rand.NewPCG(seed, 1)), checker.DefaultShape())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// generatedLocks is one with every kind of operation on locks.
func generatedLocks(t *testing.T, seed uint64) *history.History {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	h, err := checker.GenerateLocks(rng, checker.DefaultLockShape())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func store(t *testing.T, path string, h *history.History) error {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(history.WriteAll(out, h), out.Close())
}

func TestCheckFile(t *testing.T) {
	clean := generated(t, 1)
	bad, ok := checker.Corruptors()[1].Corrupt(rand.New(rand.NewPCG(1, 1)), clean)
	if !ok {
		t.Fatal("no place for a phantom")
	}
	encode := func(h *history.History) []byte {
		var b bytes.Buffer
		if err := history.WriteAll(&b, h); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	half := func(b []byte) []byte { return b[:len(b)/2] }
	labeled := *clean
	labeled.Header.Labels = map[string]string{"skew": "long"}
	for _, tc := range []struct {
		name string
		text []byte
		want checker.Verdict
		why  string
	}{
		{"good", encode(clean), checker.Valid, ""},
		{"bad", encode(bad), checker.Invalid, "phantom"},
		{"good and cut", half(encode(clean)), checker.Unknown, "cut off"},
		{"empty", nil, checker.Unknown, "cut off"},
		{"no history", []byte("hello\n"), checker.Unknown, "invalid"},
		{"another version", []byte(`{"header":{"version":9,"n":3}}` + "\n"), checker.Unknown, "version"},
		{"a label that says nothing", encode(&labeled), checker.Unknown, "skew"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), trial.HistoryFile)
			if err := os.WriteFile(path, tc.text, 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := CheckFile(path)
			if err != nil || r.Verdict != tc.want || !strings.Contains(r.String(), tc.why) {
				t.Errorf("want %s, got %v: %v", tc.want, r, err)
			}
		})
	}
	if _, err := CheckFile(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestLabelsSayHowToJudge(t *testing.T) {
	h := history.Header{Mode: "sim", Labels: map[string]string{"skew": "3s"}}
	if cfg, err := ConfigOf(&h); err != nil || cfg.Skew != 3*time.Second || cfg.MinAvailable != 0 ||
		!cfg.Strict {
		t.Errorf("%+v, %v", cfg, err)
	}
	h = history.Header{Labels: map[string]string{"strict": "false", "min_available": "0.5"}}
	if cfg, err := ConfigOf(&h); err != nil || cfg.MinAvailable != 0.5 || cfg.Strict {
		t.Errorf("%+v, %v", cfg, err)
	}
	for name, text := range map[string]string{"skew": "-1s", "strict": "so so", "min_available": "7"} {
		h.Labels = map[string]string{name: text}
		if _, err := ConfigOf(&h); err == nil {
			t.Errorf("%s %s was taken", name, text)
		}
	}
}
