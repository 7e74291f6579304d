// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/kv"
)

func (a *app) kvCommand() *cobra.Command {
	return a.parent("kv", "Read and write keys",
		a.getCommand(), a.putCommand(), a.deleteCommand(), a.scanCommand(),
		a.importCommand(), a.exportCommand())
}

// keyFlags are what commands about keys have in common.
type keyFlags struct {
	bucket string
	levels levels
}

func (k *keyFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&k.bucket, "bucket", kv.DefaultBucketName, "the bucket of the key")
}

// completeLevels lets a shell offer the words.
func (a *app) completeLevels(c *cobra.Command) {
	for _, name := range []string{"r", "w", "pr", "pw"} {
		if c.Flags().Lookup(name) != nil {
			a.complete(c, name, "one", "quorum", "all")
		}
	}
}

// blob is bytes in JSON: text where they are UTF-8, else base64.
type blob struct {
	Text   *string `json:"value,omitempty"`
	Base64 *string `json:"value_base64,omitempty"`
}

func newBlob(b []byte) blob {
	if utf8.Valid(b) {
		s := string(b)
		return blob{Text: &s}
	}
	s := base64.StdEncoding.EncodeToString(b)
	return blob{Base64: &s}
}

// name is a key in JSON, likewise.
type name struct {
	Text   *string `json:"key,omitempty"`
	Base64 *string `json:"key_base64,omitempty"`
}

func newName(key []byte) name {
	b := newBlob(key)
	return name(b)
}

// siblingOutput is one value of a key.
type siblingOutput struct {
	blob
	Written time.Time  `json:"written"`
	Expires *time.Time `json:"expires,omitempty"`
}

// siblingOutputs shows values; bare without the values themselves.
func siblingOutputs(list []client.Sibling, bare bool) []siblingOutput {
	out := make([]siblingOutput, 0, len(list))
	for i := range list {
		s := siblingOutput{Written: list[i].Written.UTC()}
		if !bare {
			s.blob = newBlob(list[i].Value)
		}
		if e := list[i].Expires; !e.IsZero() {
			e = e.UTC()
			s.Expires = &e
		}
		out = append(out, s)
	}
	return out
}

// encodeContext shows a context; decodeContext reads it back.
func encodeContext(c client.Context) string { return base64.StdEncoding.EncodeToString(c) }

func decodeContext(text string) (client.Context, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, usage("--context: not the base64 that 'dyno kv get --meta' prints: %w", err)
	}
	return b, nil
}

// readValue takes a value from an argument, a file, or standard input. It never reads
// more than a value can have.
func (a *app) readValue(args []string, file string) ([]byte, error) {
	switch {
	case file != "" && len(args) > 0:
		return nil, usage("a value is given as an argument or by --file, not both")
	case file == "" && len(args) == 0:
		return nil, usage("a value is needed: an argument, --file FILE, or - for standard input")
	case file == "-", file == "" && args[0] == "-":
		return limitedValue("standard input", a.in)
	case file == "":
		return []byte(args[0]), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	value, err := limitedValue(file, f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return value, err
}

// errTooLong is a value over the limit, found before anything was sent.
func errTooLong(what string) error {
	return fmt.Errorf("%s is too large: a value can have %d bytes at most", what, kv.MaxValue)
}

func limitedValue(what string, r io.Reader) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(r, kv.MaxValue+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if len(value) > kv.MaxValue {
		return nil, errTooLong(what)
	}
	return value, nil
}
