// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// An Overlay is generated and ready for `go build -overlay`.
type Overlay struct {
	// Path is the JSON file.
	Path string
	// Edits is the hash of what was changed, as Running reports it.
	Edits string
}

// Generate writes the overlay for a toolchain below the folder cache, or finds it there.
// What it writes is named by the toolchain and the edits, and is put in place as a whole,
// so callers may share a cache and run at once.
func Generate(t Toolchain, cache string) (Overlay, error) {
	return GenerateSet(t, cache, runtimeSet(Edits()))
}

// Set is what is changed in a toolchain: a file of ours, and edits that call into it.
type Set struct {
	// File is where ours is added, relative to src; Text is what stands in it. {{edits}} in
	// it becomes the hash of all.
	File, Text string
	Edits      []Edit
}

func runtimeSet(edits []Edit) Set { return Set{File: addedFile, Text: added, Edits: edits} }

// GenerateSet is Generate for other edits than those of the simulator.
func GenerateSet(t Toolchain, cache string, set Set) (Overlay, error) {
	if err := t.check(); err != nil {
		return Overlay{}, err
	}
	cache, err := filepath.Abs(cache) // the JSON names files for a go command elsewhere
	if err != nil {
		return Overlay{}, fmt.Errorf("place the overlay: %w", err)
	}
	hash := hashOf(set)
	files, err := t.edited(set, hash)
	if err != nil {
		return Overlay{}, fmt.Errorf("edit the toolchain: %w", err)
	}
	dir := filepath.Join(cache, keyOf(t, files))
	made := Overlay{Path: filepath.Join(dir, "overlay.json"), Edits: hash}
	if _, err := os.Stat(made.Path); err == nil {
		return made, nil
	}
	if err := write(t, cache, dir, files); err != nil {
		return Overlay{}, fmt.Errorf("write the overlay: %w", err)
	}
	return made, nil
}

// A replaced is the new text of one file of the toolchain.
type replaced struct{ name, text string }

// edited returns the new text of every file that an edit names, and the added one.
func (t Toolchain) edited(set Set, hash string) ([]replaced, error) {
	if _, err := os.Stat(t.path(set.File)); err == nil {
		return nil, fmt.Errorf("%s of toolchain %s: exists already", set.File, t.Version)
	}
	files := []replaced{{name: set.File, text: strings.ReplaceAll(set.Text, editsMark, hash)}}
	byFile := make(map[string][]Edit)
	var order []string
	for _, e := range set.Edits {
		if byFile[e.File] == nil {
			order = append(order, e.File)
		}
		byFile[e.File] = append(byFile[e.File], e)
	}
	for _, name := range order {
		source, err := os.ReadFile(t.path(name))
		if err != nil {
			return nil, fmt.Errorf("%s of toolchain %s: %w", name, t.Version, err)
		}
		text, err := apply(t.Version, string(source), byFile[name])
		if err != nil {
			return nil, err
		}
		files = append(files, replaced{name: name, text: text})
	}
	return files, nil
}

func (t Toolchain) path(name string) string {
	return filepath.Join(t.Root, "src", filepath.FromSlash(name))
}

// write fills a folder beside dir and renames it. Whoever comes second finds the place
// taken by the same files.
func write(t Toolchain, cache, dir string, files []replaced) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(cache, ".overlay-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone already where it was renamed
	var index struct{ Replace map[string]string }
	index.Replace = make(map[string]string, len(files))
	for _, f := range files {
		flat := strings.ReplaceAll(f.name, "/", "_")
		if err := os.WriteFile(filepath.Join(tmp, flat), []byte(f.text), 0o644); err != nil {
			return err
		}
		index.Replace[t.path(f.name)] = filepath.Join(dir, flat)
	}
	text, err := json.MarshalIndent(index, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, "overlay.json"), text, 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, missing := os.Stat(filepath.Join(dir, "overlay.json")); missing != nil {
			return err
		}
	}
	return nil
}

// hashOf is the same for the same edits, whatever the toolchain.
func hashOf(set Set) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", set.Text)
	for _, e := range set.Edits {
		fmt.Fprintf(h, "%q %q %d %q\n", e.File, e.Anchor, e.Times, e.Replacement)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// keyOf names a folder of the cache. It covers the files as they come out, so that a
// toolchain whose sources were changed without a new version gets a folder of its own.
func keyOf(t Toolchain, files []replaced) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q\n", t.Version, t.Root)
	for _, f := range files {
		fmt.Fprintf(h, "%q %q\n", f.name, f.text)
	}
	version, _, _ := strings.Cut(t.Version, " ") // experiments follow; the hash has them
	return version + "-" + hex.EncodeToString(h.Sum(nil))[:16]
}
