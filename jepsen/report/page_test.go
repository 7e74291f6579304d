// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// blobs are the packed data of a page; they are no text.
func withoutBlobs(text string) string {
	return regexp.MustCompile(`(?s)<script type="text/plain".*?</script>`).ReplaceAllString(text, "")
}

func TestPageTellsWhatTheRunWasAndFound(t *testing.T) {
	text := page(t, brokenInput(t))
	for what, want := range map[string]string{
		"verdict":         `<span class="verdict invalid">invalid</span>`,
		"a checker":       `<th scope="row">causal</th>`,
		"seed":            `<dt>seed</dt><dd>7</dd>`,
		"commit":          `<dd>0123456789abcdef</dd>`,
		"toolchain":       `<dd>go1.26.8</dd>`,
		"mode":            `<dt>mode</dt><dd>switch</dd>`,
		"what it lacks":   `can not do: clock-step, corrupt.`,
		"command":         `dyno-jepsen run --workload all --seed 7 --time 5m</pre>`,
		"sum of counts":   `<b>dropped packets</b> 1300`,
		"what never bit":  `<td class="n">0 <span class="verdict unknown">never</span></td>`,
		"error of fault":  `<span class="error">no room to begin with</span>`,
		"a violation":     `<h3>1. false-sibling <code>`,
		"its path":        `<ol class="path"><li>`,
		"its diagram":     `<rect class="band"`,
		"its causes":      `class="box ok path evidence"`,
		"a kind's row":    `<th scope="row">put</th>`,
		"a node's row":    `<th scope="row">n2</th>`,
		"picture of lock": `<script type="text/plain" id="blob-order-2">`,
		"the plan":        `&#34;kind&#34;: &#34;kill&#34;`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: the page lacks %s", what, want)
		}
	}
}

func TestPageWithoutTroubleHasNoRoomForIt(t *testing.T) {
	in := input(t, smallHistory())
	in.Report.Verdict, in.Report.Results = checker.Valid, nil
	text := page(t, in)
	for _, id := range []string{`id="violations"`, `id="orders"`, "killed.</p>"} {
		if strings.Contains(text, id) {
			t.Errorf("the page has %s", id)
		}
	}
	in.Cut = true
	if text := page(t, in); !strings.Contains(text, "the run was killed") {
		t.Error("the page does not say that the history was cut")
	}
	page(t, &Input{History: &history.History{}, Report: in.Report, Run: &Run{}}) // of nothing at all
}

func TestPageAsksForNothingAndRunsNothingElse(t *testing.T) {
	text := withoutBlobs(page(t, brokenInput(t)))
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(text)
	if policy == nil {
		t.Fatal("the page has no policy")
	}
	rule := strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(policy[1])
	for _, want := range []string{
		"default-src 'none'", "base-uri 'none'", "form-action 'none'", "script-src 'sha256-", "style-src 'sha256-",
	} {
		if !strings.Contains(rule, want) {
			t.Errorf("the policy lacks %s: %s", want, rule)
		}
	}
	if strings.Contains(rule, "unsafe") || strings.Contains(rule, "http") {
		t.Errorf("the policy is not strict: %s", rule)
	}
	running := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(text, -1)
	if len(running) != 1 || !strings.Contains(rule, hashOf([]byte(running[0][1]))) {
		t.Errorf("%d scripts run; one must, and the policy must name it", len(running))
	}
	outside := strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "") // a name, and no address
	if at := strings.Index(outside, "http"); at >= 0 && !strings.HasPrefix(outside[at:], "http-equiv") {
		t.Errorf("the page names an address: %.80s", outside[at:])
	}
	for _, bad := range []string{" src=", " onclick=", " style=", "@import", "url(h"} {
		if strings.Contains(outside, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestPageHasNoMarkupOfTexts(t *testing.T) {
	text := withoutBlobs(page(t, hostileInput(t)))
	if at := strings.Index(text, "<img"); at >= 0 {
		t.Errorf("a text became markup: %.200s", text[max(0, at-100):])
	}
	if strings.Contains(text, "<!--") || strings.Contains(text, `onerror="`) {
		t.Error("a text became a comment or an attribute")
	}
	// Scripts: the data, and the one that runs. All else that ends one is escaped.
	if n := strings.Count(text, "</script>"); n != 2 {
		t.Errorf("%d scripts end, must be 2", n)
	}
	if !strings.Contains(text, "&lt;/script&gt;&lt;img") {
		t.Error("the texts are not there at all")
	}
	small := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`)
	var data scriptData
	if err := json.Unmarshal([]byte(small.FindStringSubmatch(text)[1]), &data); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(data.Faults[0].Kind, hostile) {
		t.Errorf("the script reads %q for a fault's kind", data.Faults[0].Kind)
	}
}

func TestPageOfAResultThatBelongsToAnotherHistory(t *testing.T) {
	in := input(t, smallHistory())
	in.Report.Results = []checker.Result{{
		Checker: "causal", Verdict: checker.Invalid, Count: 3, Violations: []checker.Violation{
			{Rule: "phantom", Key: "nowhere", Ops: []int{-1, 99, 0}, Path: []string{"x"}},
			{Rule: "phantom", Key: "nowhere", Ops: []int{7}},
		},
	}}
	text := page(t, in)
	if !strings.Contains(text, "1 more are counted") || !strings.Contains(text, "violation-2") {
		t.Error("the violations are not told")
	}
}

func TestFiguresSayWhatWasReached(t *testing.T) {
	h := &history.History{}
	for i := range 5000 { // 1,000 in each of five seconds, 500 ok in one of them
		op := history.Op{
			Kind: history.Get, Outcome: history.OK, Invoked: int64(i) * int64(time.Millisecond),
		}
		op.Completed = op.Invoked + int64(time.Millisecond)/2
		if i/1000 == 3 && i%2 == 0 {
			op.Outcome = history.Fail
		}
		h.Ops = append(h.Ops, op)
	}
	h.Ops = append(h.Ops, history.Op{
		Kind: history.Get, Outcome: history.OK, Final: 1, Invoked: int64(time.Hour), Completed: int64(time.Hour),
	})
	want := throughput{Median: "1\u202f000", Least: "500", Most: "1\u202f000"}
	if got := newThroughput(h); got != want {
		t.Errorf("throughput %+v, must be %+v", got, want)
	}
	rows := kindRows(h)
	if r := rows[len(rows)-1]; r.OK != "4\u202f501" || r.Fail != "500" || r.Share != "90.00 %" ||
		r.P50 != "499 µs" && r.P50 != "500 µs" {
		t.Errorf("all operations: %+v", r)
	}
}

func TestNodesCountWhatNobodyAnswered(t *testing.T) {
	op := func(k history.Kind, node string, o history.Outcome) history.Op {
		return history.Op{Kind: k, Node: node, Outcome: o, Key: "k", Completed: 1}
	}
	h := &history.History{Ops: []history.Op{
		op(history.Get, "n1", history.OK), op(history.Get, "", history.Info),
		op(history.Put, "n1", history.Fail), op(history.Acquire, "", history.Info),
		op(history.Get, "", history.OK),
	}}
	rows := nodeRows(h)
	if len(rows) != 2 || rows[0].Name != nobody || rows[0].All != "1" || rows[1].Share != "50.00 %" {
		t.Errorf("nodes %+v", rows)
	}
	if s := newSeries(h, maxPoints); len(s.Nodes) != 2 || s.Nodes[0] != nobody {
		t.Errorf("nodes of the picture: %q", s.Nodes)
	}
}

func TestNumbersAreForPeople(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567", -1000: "-1\u202f000", -100: "-100",
	} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q, must be %q", n, got, want)
		}
	}
	if got := percent(99_999, 100_000); got != "99.99 %" {
		t.Errorf("what is not all is %s", got)
	}
}
