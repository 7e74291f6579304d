// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"context"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser starts a chromium that asks nobody anything, for one test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("DYNO_RIG") == "require" {
			t.Fatal("there is no chromium; DYNO_RIG=require wants one: apt-get install chromium")
		}
		t.Skip("there is no chromium: apt-get install chromium")
	}
	if testing.Short() {
		t.Skip("a browser is slow, and nothing in it is Go's")
	}
	dir := home(t)
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Env("HOME="+dir, "TMPDIR="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir),
		chromedp.Flag("headless", true), chromedp.Flag("no-sandbox", true),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.WindowSize(1280, 900),
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, end := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(end)
	ctx, quit := chromedp.NewContext(ctx)
	t.Cleanup(quit)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// home is a folder for all that a browser writes. Its processes end one after the other, and
// some write until then. The name is short, as sockets are in it.
func home(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		deadline := time.Now().Add(10 * time.Second)
		for err := os.RemoveAll(dir); err != nil; err = os.RemoveAll(dir) {
			if time.Now().After(deadline) {
				t.Errorf("the browser's folder stays: %v", err)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	return dir
}

// watched is what a tab did that it should not.
type watched struct {
	mu       sync.Mutex // guards what follows
	errors   []string
	requests []string
}

// opened opens a page in a tab of its own, waits until all of it is drawn, and fails the test
// in the end if it logged an error or asked for anything but itself.
func opened(t *testing.T, ctx context.Context, text string) (context.Context, time.Duration) {
	t.Helper()
	path := filepath.Join(t.TempDir(), PageFile)
	write(t, path, text)
	ctx, quit := chromedp.NewContext(ctx)
	t.Cleanup(quit)
	w := &watched{}
	own := "file://" + path
	err := chromedp.Listen(ctx, func(event any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			w.errors = append(w.errors, thrown(e.ExceptionDetails))
		case *runtime.EventConsoleAPICalled:
			w.errors = append(w.errors, fmt.Sprint("console: ", e.Type, e.Args))
		case *log.EventEntryAdded:
			w.errors = append(w.errors, "log: "+e.Entry.Text)
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; url != own && !strings.HasPrefix(url, "about:") {
				w.requests = append(w.requests, url)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, ctx, command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}),
		chromedp.EmulateViewport(1280, 900))
	began := time.Now()
	run(t, ctx, chromedp.Navigate(own))
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`document.body.dataset.ready === 'yes'`)); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range w.errors {
			t.Errorf("the page logged: %s", e)
		}
		for _, r := range w.requests {
			t.Errorf("the page asked for %.200s", r)
		}
	})
	return ctx, took
}

func run(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// value is what a script in the page gives.
func value[V any](t *testing.T, ctx context.Context, script string) V {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[V](script))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// shot is a picture of what can be seen. Where DYNO_SHOTS names a folder the whole page goes
// there, for people.
func shot(t *testing.T, ctx context.Context, name string) []byte {
	t.Helper()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("DYNO_SHOTS"); dir != "" {
		write(t, filepath.Join(dir, name+"-seen.png"), string(picture))
		whole, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name+".png"), string(whole))
	}
	return picture
}

// has reports whether a picture has a pixel of a colour.
func has(t *testing.T, picture []byte, c color.Color) bool {
	t.Helper()
	image, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	r, g, b, _ := c.RGBA()
	for y := range image.Bounds().Dy() {
		for x := range image.Bounds().Dx() {
			if pr, pg, pb, _ := image.At(x, y).RGBA(); pr == r && pg == g && pb == b {
				return true
			}
		}
	}
	return false
}

// tints is how many colours a canvas has, which tells one that was painted from one that
// was not.
func tints(t *testing.T, ctx context.Context, id string) int {
	t.Helper()
	return value[int](t, ctx, fmt.Sprintf(`(() => {
		const from = document.getElementById(%q);
		const copy = new OffscreenCanvas(from.width, from.height);
		const g = copy.getContext('2d', { willReadFrequently: true });
		g.drawImage(from, 0, 0);
		return new Set(new Uint32Array(g.getImageData(0, 0, copy.width, copy.height).data.buffer)).size;
	})()`, id))
}

// command makes a step of a command of the protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, c, params)
		return err
	})
}

func thrown(e *runtime.ExceptionDetails) string {
	if e.Exception == nil {
		return e.Text
	}
	return e.Text + ": " + e.Exception.Description
}
