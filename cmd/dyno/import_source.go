// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/dyno-kv/dyno/kv"
)

// item is one key to import.
type item struct {
	key   []byte
	where string // for messages: the file, or the line
	bytes int64  // of the source that it takes
	// load reads the value; it fails where the source is no good.
	load func() ([]byte, error)
}

// source is what is imported: items, or an error that ends it.
type source = iter.Seq2[item, error]

// dirSource walks a directory: a key for each regular file, its path relative to dir with
// slashes after prefix. Where dir is a symbolic link it is followed; others are not.
func dirSource(dir, prefix string) source {
	dir = filepath.Clean(dir) + string(filepath.Separator)
	return func(yield func(item, error) bool) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil && path == dir:
				return err
			case err == nil && d.IsDir():
				return nil
			}
			if !yield(fileItem(dir, prefix, path, d, err), nil) {
				return fs.SkipAll
			}
			if d != nil && d.IsDir() {
				return fs.SkipDir // it can not be read
			}
			return nil
		})
		if err != nil {
			yield(item{}, err)
		}
	}
}

func fileItem(dir, prefix, path string, d fs.DirEntry, err error) item {
	it := item{where: shown([]byte(path))}
	relative, relErr := filepath.Rel(dir, path)
	it.key = []byte(prefix + filepath.ToSlash(relative))
	fail := func(err error) item {
		it.load = func() ([]byte, error) { return nil, err }
		return it
	}
	switch {
	case err != nil:
		return fail(err)
	case relErr != nil:
		return fail(relErr)
	case !d.Type().IsRegular():
		return fail(fmt.Errorf("not a regular file (%s): only those have a value", d.Type()))
	}
	info, err := d.Info()
	if err != nil {
		return fail(err)
	}
	it.bytes = info.Size()
	if it.bytes > kv.MaxValue {
		return fail(fmt.Errorf("%w; it has %d", errTooLong("the file"), it.bytes))
	}
	it.load = func() ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		value, err := limitedValue("the file", f)
		return value, errors.Join(err, f.Close())
	}
	return it
}

// dirSize adds up what a walk will find, for the bar.
func dirSize(dir string) (total int64) {
	for it, err := range dirSource(dir, "") {
		if err == nil {
			total += it.bytes
		}
	}
	return total
}

// maxLine bounds a line of a file: a value with every byte escaped, and its key.
const maxLine = 8 << 20

// parser reads a line.
type parser = func(line []byte) (key, value []byte, err error)

// lineSource reads a key and a value from each line; empty lines are left out.
func lineSource(r io.Reader, prefix string, parse parser) source {
	return func(yield func(item, error) bool) {
		lines, number := bufio.NewScanner(r), 0
		lines.Buffer(make([]byte, 0, 64<<10), maxLine)
		for lines.Scan() {
			number++
			line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
			if len(line) == 0 {
				continue
			}
			key, value, err := parse(bytes.Clone(line))
			it := item{
				where: fmt.Sprintf("line %d", number), bytes: int64(len(lines.Bytes()) + 1),
				key:  append([]byte(prefix), key...),
				load: func() ([]byte, error) { return value, err },
			}
			if err == nil && len(value) > kv.MaxValue {
				it.load = func() ([]byte, error) { return nil, errTooLong("the value") }
			}
			if !yield(it, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(item{}, fmt.Errorf("after line %d: %w", number, err))
		}
	}
}

// parseTSV reads "key TAB value"; \t, \n, \r and \\ stand for themselves in both.
func parseTSV(line []byte) (key, value []byte, err error) {
	k, v, found := bytes.Cut(line, []byte("\t"))
	if !found {
		return nil, nil, errors.New("no tab between key and value")
	}
	if key, err = unescape(k); err != nil {
		return nil, nil, fmt.Errorf("key: %w", err)
	}
	if value, err = unescape(v); err != nil {
		return nil, nil, fmt.Errorf("value: %w", err)
	}
	return key, value, nil
}

func unescape(b []byte) ([]byte, error) {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		i++
		if i == len(b) {
			return nil, errors.New(`ends with a single \`)
		}
		at := strings.IndexByte(`tnr\`, b[i])
		if at < 0 {
			return nil, fmt.Errorf(`\%c means nothing; \t, \n, \r and \\ do`, b[i])
		}
		out = append(out, "\t\n\r\\"[at])
	}
	return out, nil
}

// parseNDJSON reads a line as `kv scan -o json` writes it, or {"key": ..., "value": ...}.
// Each of both may be given in base64: "key_base64", "value_base64".
func parseNDJSON(line []byte) (key, value []byte, err error) {
	var doc struct {
		name
		blob
		Siblings []blob `json:"siblings"`
	}
	if !utf8.Valid(line) { // the decoder would put other bytes in the place of what is not
		return nil, nil, errors.New("it is not UTF-8; write such bytes as key_base64, value_base64")
	}
	if err := json.Unmarshal(line, &doc); err != nil {
		return nil, nil, err
	}
	if key, err = blob(doc.name).bytes("key"); err != nil {
		return nil, nil, err
	}
	switch {
	case len(doc.Siblings) == 1:
		doc.blob = doc.Siblings[0]
	case len(doc.Siblings) > 1:
		return nil, nil, fmt.Errorf("it has %d values; choose one", len(doc.Siblings))
	}
	value, err = doc.blob.bytes("value")
	return key, value, err
}

// bytes reads text or base64.
func (b blob) bytes(what string) ([]byte, error) {
	switch {
	case b.Text != nil && b.Base64 != nil:
		return nil, fmt.Errorf("%s and %s_base64 are both there", what, what)
	case b.Text != nil:
		return []byte(*b.Text), nil
	case b.Base64 != nil:
		out, err := base64.StdEncoding.DecodeString(*b.Base64)
		if err != nil {
			return nil, fmt.Errorf("%s_base64: %w", what, err)
		}
		return out, nil
	default:
		return nil, fmt.Errorf("neither %s nor %s_base64 is there", what, what)
	}
}
