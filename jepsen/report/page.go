// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// assets are the page's template, its style, and its script in pieces.
//
//go:embed assets
var assets embed.FS

// Input is what a page is made of.
type Input struct {
	History *history.History
	Report  *checker.Report
	Run     *Run
	// Cut says that the history has no end.
	Cut bool
	// Orders are pictures of the search for an order of a lock's operations.
	Orders []checker.Picture
}

// scripts are the pieces of the page's script, in their order.
func scripts() []string {
	return []string{
		"data.js", "view.js", "slices.js", "chart.js", "charts.js", "lanes.js", "keys.js",
		"orders.js", "main.js",
	}
}

// blob is data that the page's script unpacks when it needs it.
type blob struct {
	name string
	data []byte
}

// Write writes the page.
func Write(w io.Writer, in *Input) error {
	s := newSeries(in.History, maxPoints)
	keys, err := json.Marshal(newKeys(in.History, in.Report, s.From))
	if err != nil {
		return fmt.Errorf("report: keys: %w", err)
	}
	blobs := []blob{
		{"levels", s.levels}, {"nodes", s.perNode}, {"keys", keys}, {"points", s.points},
	}
	for i, p := range in.Orders {
		blobs = append(blobs, blob{fmt.Sprint("order-", i), p.Page})
	}
	v, err := newView(in, s)
	if err != nil {
		return err
	}
	return writePage(w, v, blobs)
}

func writePage(w io.Writer, v *view, blobs []blob) error {
	page, err := template.New("page.html").ParseFS(assets, "assets/*.html")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if err := page.ExecuteTemplate(out, "page.html", v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for i := range blobs {
		if err := blobs[i].write(out); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	if err := page.ExecuteTemplate(out, "end.html", v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// write packs a blob. Its name is one of ours, and base64 has nothing that could be markup.
func (b *blob) write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "<script type=\"text/plain\" id=\"blob-%s\">", b.name); err != nil {
		return err
	}
	text := base64.NewEncoder(base64.StdEncoding, w)
	packed := gzip.NewWriter(text)
	if _, err := packed.Write(b.data); err != nil {
		return err
	}
	if err := packed.Close(); err != nil {
		return err
	}
	if err := text.Close(); err != nil {
		return err
	}
	_, err := io.WriteString(w, "</script>\n")
	return err
}

// script is the page's script: strict, and all of it in one scope of its own.
func script() (template.JS, error) {
	var b strings.Builder
	b.WriteString("'use strict';\n(() => {\n")
	for _, name := range scripts() {
		text, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return "", fmt.Errorf("report: %w", err)
		}
		b.Write(text)
	}
	b.WriteString("})();\n")
	return template.JS(b.String()), nil
}

func style() (template.CSS, error) {
	text, err := assets.ReadFile("assets/style.css")
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return template.CSS(text), nil
}

// policy is the page's own rule of what a browser may do for it: run these scripts, use
// these styles, and nothing else. Not even a text that became markup by mistake could run.
func policy(script template.JS, style template.CSS, orders []checker.Picture) string {
	scripts, styles := []string{hashOf([]byte(script))}, []string{hashOf([]byte(style))}
	for _, p := range orders {
		scripts = append(scripts, hashesIn(p.Page, "script")...)
		styles = append(styles, hashesIn(p.Page, "style")...)
	}
	slices.Sort(styles[1:])
	return "default-src 'none'; base-uri 'none'; form-action 'none'; script-src " +
		strings.Join(scripts, " ") + "; style-src " + strings.Join(slices.Compact(styles), " ")
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// hashesIn are those of a page's own elements of a kind that have no attributes.
func hashesIn(page []byte, element string) []string {
	var all []string
	begin, end := []byte("<"+element+">"), []byte("</"+element+">")
	for {
		_, rest, found := bytes.Cut(page, begin)
		if !found {
			return all
		}
		text, after, found := bytes.Cut(rest, end)
		if !found {
			return all
		}
		all = append(all, hashOf(text))
		page = after
	}
}
