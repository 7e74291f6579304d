// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"context"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

func TestReportInABrowser(t *testing.T) {
	ctx := browser(t)
	text := page(t, brokenInput(t))
	t.Run("is drawn, light and dark", func(t *testing.T) { drawsAReport(t, ctx, text) })
	t.Run("is zoomed by button, key and pointer", func(t *testing.T) { zooms(t, ctx, text) })
	t.Run("works without its script", func(t *testing.T) { worksWithoutScript(t, ctx, text) })
	t.Run("shows the keys that are chosen", func(t *testing.T) { showsKeys(t, ctx, text) })
	t.Run("shows the order of a lock", func(t *testing.T) { showsOrders(t, ctx, text) })
	t.Run("takes no text for markup", func(t *testing.T) { takesNoTextForMarkup(t, ctx) })
	t.Run("opens many operations soon", func(t *testing.T) { opensManyOperationsSoon(t, ctx) })
}

func drawsAReport(t *testing.T, ctx context.Context, text string) {
	tab, _ := opened(t, ctx, text)
	for _, id := range []string{"latency", "throughput", "lanes", "nodes"} {
		if n := tints(t, tab, id); n < 4 {
			t.Errorf("canvas %s has %d colours: nothing was painted", id, n)
		}
	}
	light := shot(t, tab, "light")
	contrasts(t, tab)
	run(t, tab, command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	}), settled())
	dark := shot(t, tab, "dark")
	contrasts(t, tab)
	if bytes.Equal(light, dark) {
		t.Error("dark looks like light")
	}
	back := value[string](t, tab, `(document.getElementById('theme').click(),
		getComputedStyle(document.body).backgroundColor)`)
	if back != "rgb(255, 255, 255)" {
		t.Errorf("the button leaves the page %s, must make it light again", back)
	}
}

// contrasts looks at each text that can be seen: it must stand out from what is behind it by
// 4.5 to 1.
func contrasts(t *testing.T, tab context.Context) {
	t.Helper()
	weak := value[[]string](t, tab, `(() => {
		const numbers = (color) => (color.match(/[\d.]+/g) || []).map(Number);
		const light = (color) => numbers(color).slice(0, 3).map((v) => v / 255)
			.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
			.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
		const behind = (e) => {
			for (; e; e = e.parentElement) {
				const c = getComputedStyle(e).backgroundColor;
				if (numbers(c).length === 3 || numbers(c)[3] > 0.99) return c;
			}
			return 'rgb(255, 255, 255)';
		};
		const weak = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		while (texts.nextNode()) {
			const e = texts.currentNode.parentElement;
			if (!texts.currentNode.data.trim() || !e.checkVisibility() || e.closest('svg, script')) continue;
			const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
			if ((a + 0.05) / (b + 0.05) < 4.5) weak.add(e.tagName + '.' + e.className + ': ' + texts.currentNode.data);
		}
		return [...weak];
	})()`)
	for _, text := range weak {
		t.Errorf("hard to read: %.100s", text)
	}
}

// settled waits until what was asked for is drawn.
func settled() chromedp.Action[chromedp.Void] {
	return does(`new Promise((done) =>
		requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// does runs a script in the page, and waits for what it promises.
func does(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](text, func(p *runtime.EvaluateParams) {
		p.AwaitPromise = new(true)
	})
}

func zooms(t *testing.T, ctx context.Context, text string) {
	tab, _ := opened(t, ctx, text)
	width := func() float64 {
		run(t, tab, settled())
		return value[float64](t, tab,
			`(({from, until}) => until - from)(document.getElementById('window').dataset)`)
	}
	whole := width()
	run(t, tab, chromedp.Click(chromedp.CSS(`[data-do="in"]`)))
	if half := width(); half < 0.49*whole || half > 0.51*whole {
		t.Errorf("the button shows %g of %g, must be half", half, whole)
	}
	run(t, tab, chromedp.Focus(chromedp.CSS("#latency")), chromedp.KeyEvent("+"), chromedp.KeyEvent("+"))
	if eighth := width(); eighth > 0.13*whole {
		t.Errorf("two keys show %g of %g, must be an eighth", eighth, whole)
	}
	run(t, tab, chromedp.KeyEvent("0"))
	if all := width(); all != whole {
		t.Errorf("key 0 shows %g of %g", all, whole)
	}
	run(t, tab, chromedp.ScrollIntoView(chromedp.CSS("#latency")))
	box := value[[]float64](t, tab, `(({left, top}) => [left, top])(
		document.getElementById('latency').getBoundingClientRect())`)
	drag := func(from, to float64) {
		x, y := box[0], box[1]+100
		run(t, tab, chromedp.MouseEvent(chromedp.MousePressed, x+from, y, chromedp.ButtonLeft),
			chromedp.MouseEvent(chromedp.MouseMoved, x+to, y, chromedp.ButtonLeft),
			chromedp.MouseEvent(chromedp.MouseReleased, x+to, y, chromedp.ButtonLeft))
	}
	drag(300, 400)
	if part := width(); part > 0.15*whole || part <= 0 {
		t.Errorf("dragging over 100 pixels shows %g of %g", part, whole)
	}
	said := value[string](t, tab, `document.getElementById('readout').textContent`)
	if !strings.Contains(said, "p99") && !strings.Contains(said, "ok 0") {
		t.Errorf("under the pointer it says %q", said)
	}
	run(t, tab, chromedp.Click(chromedp.CSS(`[data-do="violation"]`)))
	if part := width(); part > 2.1e9 {
		t.Errorf("the next violation shows %g ns, must be two seconds", part)
	}
	shot(t, tab, "zoomed")
}

func worksWithoutScript(t *testing.T, ctx context.Context, text string) {
	path := filepath.Join(t.TempDir(), PageFile)
	write(t, path, text)
	tab, quit := chromedp.NewContext(ctx)
	t.Cleanup(quit)
	run(t, tab, command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{
		Value: true,
	}), chromedp.Navigate("file://"+path))
	seen := value[string](t, tab, `document.body.innerText`)
	for _, want := range []string{"not-monotonic-rate", "dropped packets 1300", "The pictures need JavaScript", "p99.9"} {
		if !strings.Contains(seen, want) {
			t.Errorf("without its script the page does not show %q", want)
		}
	}
	if strings.Contains(seen, "Zoom in") || strings.Contains(seen, "Light or dark") {
		t.Error("without its script the page shows buttons that do nothing")
	}
	if n := value[int](t, tab, `[...document.querySelectorAll('.violation svg.figure')]
		.filter((e) => e.checkVisibility()).length`); n < 5 {
		t.Errorf("without its script the page shows %d diagrams of the first violations", n)
	}
}

func showsKeys(t *testing.T, ctx context.Context, text string) {
	tab, _ := opened(t, ctx, text)
	options := value[[]string](t, tab, `[...document.querySelectorAll('#key-choice option')].map((o) => o.text)`)
	if len(options) < 12 || !strings.HasPrefix(options[0], "✗ false-sibling") ||
		strings.HasPrefix(options[len(options)-1], "✗") {
		t.Fatalf("keys to choose: %q; those with violations must come first", options)
	}
	bars := `document.querySelectorAll('#key-line svg g.op').length`
	if n := value[int](t, tab, bars); n < 100 {
		t.Errorf("%d operations of the first key are drawn", n)
	}
	evidence := value[string](t, tab, `document.getElementById('key-op').textContent`)
	if !strings.Contains(evidence, "evidence of") {
		t.Errorf("what is said first is %q, must be evidence", evidence)
	}
	run(t, tab, chromedp.Focus(chromedp.CSS("#key-line")), chromedp.KeyEvent("\u0303")) // Right
	next := value[string](t, tab, `document.getElementById('key-op').textContent`)
	if next == evidence {
		t.Error("the key to the right changes nothing")
	}
	first := value[string](t, tab, `document.querySelector('#key-line').innerHTML`)
	run(t, tab, chromedp.SetValue(chromedp.CSS("#key-choice"), "3"))
	run(t, tab, does(`document.getElementById('key-choice').dispatchEvent(new Event('change'))`))
	if value[string](t, tab, `document.querySelector('#key-line').innerHTML`) == first {
		t.Error("another key shows the same picture")
	}
	rows := value[int](t, tab, `document.querySelectorAll('#key-table tbody tr').length`)
	if n := value[int](t, tab, bars); n != rows || n == 0 {
		t.Errorf("%d operations are drawn, and %d are in the table", n, rows)
	}
}

func showsOrders(t *testing.T, ctx context.Context, text string) {
	tab, _ := opened(t, ctx, text)
	run(t, tab, chromedp.ScrollIntoView(chromedp.CSS("#order-show")), chromedp.Click(chromedp.CSS("#order-show")),
		chromedp.WaitVisible(chromedp.CSS("#order-frame iframe")),
		chromedp.ScrollIntoView(chromedp.CSS("#order-frame iframe")))
	// The frame is of another origin, so that it can be seen, and not looked into.
	deadline := time.Now().Add(20 * time.Second)
	for {
		if has(t, shot(t, tab, "order"), color.NRGBA{0x42, 0xd1, 0xf5, 0xff}) { // an operation's
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the frame stays empty")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func takesNoTextForMarkup(t *testing.T, ctx context.Context) {
	tab, _ := opened(t, ctx, page(t, hostileInput(t)))
	got := value[[]string](t, tab, `[document.title,
		String(document.querySelectorAll('img').length),
		document.querySelector('#key-choice option').text]`)
	if got[0] == "owned" || got[1] != "0" || !strings.Contains(got[2], "</script><img") {
		t.Errorf("title, images, first key: %q", got)
	}
}

// opensManyOperationsSoon: a million in three seconds, until all of them are drawn.
func opensManyOperationsSoon(t *testing.T, ctx context.Context) {
	ops, most := 200_000, 10*time.Second // beside other tests
	if os.Getenv("DYNO_LONG") != "" {
		ops, most = 1_000_000, 3*time.Second
	}
	text := page(t, longInput(ops))
	tab, took := opened(t, ctx, text)
	t.Logf("%d operations, %d bytes: open in %v", ops, len(text), took)
	if took > most {
		t.Errorf("%d operations are open after %v, must be %v", ops, took, most)
	}
	if n := value[int](t, tab, `document.querySelectorAll('#key-choice option').length`); n != maxKeys {
		t.Errorf("%d keys to choose, must be %d", n, maxKeys)
	}
	shot(t, tab, "long")
	run(t, tab, does(`for (let i = 0; i < 9; i++)
		document.querySelector('[data-do="in"]').click()`), settled())
	if !value[bool](t, tab, `document.getElementById('detail').textContent !== ''`) {
		t.Error("zoomed in, operations are not counted one by one")
	}
	shot(t, tab, "long-zoomed")
}
