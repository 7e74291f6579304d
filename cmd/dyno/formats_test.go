// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func TestPathsThatLeadOutOfTheDirectoryAreRefused(t *testing.T) {
	for _, path := range []string{
		"", ".", "..", "/", "/etc/passwd", "../x", "a/../x", "a/..", "a//b", "a/", "./a", "a/./b",
		"a\x00b", "//",
	} {
		if checkPath(path) == nil {
			t.Errorf("%q was accepted", path)
		}
	}
	for _, path := range []string{"a", "a/b", "...", "a..b", ".hidden", "ä/ö", "a b", `a\b`} {
		if err := checkPath(path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestLinesAreRead(t *testing.T) {
	for _, tc := range []struct {
		name       string
		parse      parser
		line       string
		key, value string
		fault      string
	}{
		{"tsv", parseTSV, "a\tb", "a", "b", ""},
		{"tsv escapes", parseTSV, `a\tb` + "\t" + `c\nd\r\\`, "a\tb", "c\nd\r\\", ""},
		{"tsv value with tabs", parseTSV, "a\tb\tc", "a", "b\tc", ""},
		{"tsv empty value", parseTSV, "a\t", "a", "", ""},
		{"tsv no tab", parseTSV, "a b", "", "", "no tab"},
		{"tsv bad escape", parseTSV, `a` + "\t" + `\x`, "", "", `\x means nothing`},
		{"tsv open escape", parseTSV, `a\` + "\t", "", "", `ends with a single \`},
		{"json", parseNDJSON, `{"key":"k","value":"v"}`, "k", "v", ""},
		{"json empty value", parseNDJSON, `{"key":"k","value":""}`, "k", "", ""},
		{"json base64", parseNDJSON, `{"key_base64":"/w==","value_base64":"AA=="}`, "\xff", "\x00", ""},
		{"json of scan", parseNDJSON, `{"version":1,"key":"k","siblings":[{"value":"v"}]}`, "k", "v", ""},
		{"json siblings", parseNDJSON, `{"key":"k","siblings":[{"value":"v"},{"value":"w"}]}`, "", "",
			"2 values"},
		{"json both", parseNDJSON, `{"key":"k","value":"v","value_base64":"dg=="}`, "", "", "both"},
		{"json no value", parseNDJSON, `{"key":"k"}`, "", "", "neither"},
		{"json no key", parseNDJSON, `{"value":"k"}`, "", "", "neither key"},
		{"json bad base64", parseNDJSON, `{"key":"k","value_base64":"?"}`, "", "", "base64"},
		{"no json", parseNDJSON, `k`, "", "", "invalid character"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key, value, err := tc.parse([]byte(tc.line))
			switch {
			case tc.fault == "" && err != nil:
				t.Fatal(err)
			case tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)):
				t.Fatalf("error %v, want one with %q", err, tc.fault)
			case tc.fault == "" && (string(key) != tc.key || string(value) != tc.value):
				t.Errorf("%q, %q; want %q, %q", key, value, tc.key, tc.value)
			}
		})
	}
}

func TestLineThatIsTooLongEndsTheSource(t *testing.T) {
	r := strings.NewReader("a\tb\n" + strings.Repeat("x", maxLine+1) + "\n")
	var keys int
	var last error
	for it, err := range lineSource(r, "", parseTSV) {
		if last = err; err == nil {
			keys++
			if string(it.key) != "a" {
				t.Errorf("key %q", it.key)
			}
		}
	}
	if keys != 1 || last == nil || !strings.Contains(last.Error(), "after line 1") {
		t.Errorf("%d keys, error %v", keys, last)
	}
}

func TestKeysAreShownOnOneLine(t *testing.T) {
	for key, want := range map[string]string{
		"a": "a", "a b/ä": "a b/ä", "a\nb": `"a\nb"`, "\xff": `"\xff"`, `"a"`: `"\"a\""`, "": `""`,
	} {
		if got := shown([]byte(key)); got != want {
			t.Errorf("%q is shown as %s, want %s", key, got, want)
		}
	}
	if got := preview([]byte(strings.Repeat("ä", 40))); len(got) > 60 || strings.Contains(got, `\x`) {
		t.Errorf("a preview of %d bytes: %s", len(got), got)
	}
}

func TestSizesAreReadAndShown(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "17": 17, "1KiB": 1 << 10, "512MiB": 512 << 20, "2G": 2 << 30, "3 TiB": 3 << 40,
		"9B": 9,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5G", "1KB", "1 apple", "99999999999"} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, n)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 30: "5.0 GiB"} {
		if got := size(n); got != want {
			t.Errorf("%d is shown as %q, want %q", n, got, want)
		}
	}
}

func TestMixesAreRead(t *testing.T) {
	for text, want := range map[string]float64{"50:50": 0.5, "1:3": 0.25, "100:0": 1, "0:1": 0} {
		if got, err := parseMix(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1", "0:0", "-1:2", "a:b", "NaN:1"} {
		if got, err := parseMix(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

// TestSettingsGoFlagsBeforeEnvironmentBeforeFile: each source beats the next.
func TestSettingsGoFlagsBeforeEnvironmentBeforeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dyno.toml")
	content := "nodes = 5\nreplicas = 2\ndir = \"from-file\"\ndrain_timeout = \"3s\"\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	given := defaultSettings()
	flags := pflag.NewFlagSet("dev", pflag.ContinueOnError)
	given.devFlags(flags)
	if err := flags.Parse([]string{"--nodes", "7", "--log-level", "debug"}); err != nil {
		t.Fatal(err)
	}
	environ := []string{"DYNO_SERVER_NODES=6", "DYNO_SERVER_REPLICAS=1", "DYNO_ENDPOINTS=x", "A=b"}
	got, err := loadSettings(path, environ, flags)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultSettings()
	want.Nodes, want.Replicas, want.Dir = 7, 1, "from-file"
	want.DrainTimeout, want.LogLevel = 3*time.Second, "debug"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	none := pflag.NewFlagSet("dev", pflag.ContinueOnError)
	if _, err := loadSettings("", []string{"DYNO_SERVER_NODES=many"}, none); err == nil {
		t.Error("a number that is none was accepted")
	}
}

// TestSampleFileHasEverySettingAtItsDefault: what config print writes changes nothing.
func TestSampleFileHasEverySettingAtItsDefault(t *testing.T) {
	sample, err := sampleFile()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dyno.toml")
	if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := loadSettings(path, nil, pflag.NewFlagSet("dev", pflag.ContinueOnError))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaultSettings(), got); diff != "" {
		t.Error(diff)
	}
	dev := pflag.NewFlagSet("dev", pflag.ContinueOnError)
	serve := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	s := defaultSettings()
	s.devFlags(dev)
	s.serveFlags(serve)
	for _, key := range knownKeys() {
		if !strings.Contains(sample, "\n"+key+" = ") {
			t.Errorf("%s is not in the sample", key)
		}
		flag := strings.ReplaceAll(key, "_", "-")
		if dev.Lookup(flag) == nil && serve.Lookup(flag) == nil {
			t.Errorf("%s has no flag", key)
		}
	}
}
