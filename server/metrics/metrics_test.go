// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/dyno-kv/dyno/internal/tally"
	"github.com/dyno-kv/dyno/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told collects what a scrape is made to tell.
type told struct {
	c    *collector
	tell func(*scrape)
}

func (t told) Describe(to chan<- *prometheus.Desc) { t.c.Describe(to) }
func (t told) Collect(to chan<- prometheus.Metric) {
	t.tell(&scrape{collector: t.c, to: to, names: make(map[kv.NodeID]string)})
}

func telling(t *testing.T, tell func(*scrape)) *prometheus.Registry {
	t.Helper()
	c := &collector{families: make(map[string]*described)}
	for _, f := range Families() {
		c.families[f.Name] = &described{f, prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)}
	}
	r := prometheus.NewRegistry()
	if err := r.Register(told{c, tell}); err != nil {
		t.Fatal(err)
	}
	return r
}

// Names are dyno_<area>_<what>_<unit>, and Prometheus's own rules have nothing to say.
func TestNamesPassTheLint(t *testing.T) {
	t.Parallel()
	r := telling(t, func(s *scrape) {
		for _, f := range Families() {
			values := slices.Repeat([]string{"x"}, len(f.Labels))
			if f.Kind == Histogram {
				s.tell(f.Name, &tally.Doubling{}, s.times(), values...)
			} else {
				s.set(f.Name, 1, values...)
			}
		}
	})
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	seen := make(map[string]bool)
	for _, f := range Families() {
		if seen[f.Name] {
			t.Errorf("%s is twice in the list", f.Name)
		}
		seen[f.Name] = true
		if strings.Count(f.Name, "_") < 2 || !strings.HasPrefix(f.Name, "dyno_") {
			t.Errorf("%s is not dyno_<area>_<what>", f.Name)
		}
		if (f.Kind == Counter) != strings.HasSuffix(f.Name, "_total") {
			t.Errorf("%s is a %s", f.Name, f.Kind)
		}
	}
}

// A label that clients could fill would make series without bound (I2).
func TestLabelsAreOfAClosedList(t *testing.T) {
	t.Parallel()
	bounded := []string{
		"version", "go", "state", "reason", "op", "code", "gate", "port", "peer", "kind", "result", "role",
	}
	for _, f := range Families() {
		for _, label := range f.Labels {
			if !slices.Contains(bounded, label) {
				t.Errorf("%s has label %q: is the number of its values bounded?", f.Name, label)
			}
		}
	}
}

// What an operator reads is what there is, and all of it.
func TestTheOperationsPageHasEveryMetric(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	written := make(map[string]string)
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `dyno_") && len(cells) == 7 {
			name := strings.Trim(cells[1], " `")
			if written[name] != "" {
				t.Errorf("%s stands there twice", name)
			}
			written[name] = strings.Join(cells[1:5], "|")
		}
	}
	for _, f := range Families() {
		want := row(f)
		if got := written[f.Name]; got != want {
			t.Errorf("the page has %q, the code\n|%s|", got, want)
		}
		delete(written, f.Name)
	}
	for name := range written {
		t.Errorf("the page has %s, which no node tells", name)
	}
}

// row is how the page tells of a family, but for what to do about it.
func row(f Family) string {
	labels := strings.Join(f.Labels, ", ")
	if labels == "" {
		labels = "-"
	}
	return fmt.Sprintf(" `%s` | %s | %s | %s ", f.Name, f.Kind, labels, f.Help)
}

func TestATallyIsAHistogram(t *testing.T) {
	t.Parallel()
	var times, siblings tally.Doubling
	for _, us := range []uint64{10, 64, 300, 1 << 30} {
		times.Observe(us)
	}
	siblings.Observe(1)
	siblings.Observe(3)
	r := telling(t, func(s *scrape) {
		s.tell("dyno_storage_commit_duration_seconds", &times, s.times())
		s.tell("dyno_client_siblings", &siblings, span{from: 1, to: 3, step: 1, unit: 1})
	})
	want := `
# HELP dyno_client_siblings Versions that a read of one key showed
# TYPE dyno_client_siblings histogram
dyno_client_siblings_bucket{le="1"} 1
dyno_client_siblings_bucket{le="3"} 2
dyno_client_siblings_bucket{le="7"} 2
dyno_client_siblings_bucket{le="+Inf"} 2
dyno_client_siblings_sum 4
dyno_client_siblings_count 2
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "dyno_client_siblings"); err != nil {
		t.Error(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "dyno_storage_commit_duration_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		first, second := h.GetBucket()[0], h.GetBucket()[1]
		if h.GetSampleCount() != 4 || first.GetUpperBound() != 64e-6 || first.GetCumulativeCount() != 1 ||
			second.GetUpperBound() != 256e-6 || second.GetCumulativeCount() != 2 {
			t.Errorf("shown as %v", h)
		}
	}
}

func TestANameThatIsNotInTheListFailsTheScrape(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(*scrape){
		"value of no family":     func(s *scrape) { s.set("dyno_no_such_thing", 1) },
		"histogram of no family": func(s *scrape) { s.tell("dyno_no_such_thing", &tally.Doubling{}, s.few()) },
		"value of a histogram":   func(s *scrape) { s.set("dyno_client_siblings", 1) },
		"histogram of a value":   func(s *scrape) { s.tell("dyno_node_ready", &tally.Doubling{}, s.few()) },
		"a label too many":       func(s *scrape) { s.set("dyno_node_ready", 1, "x") },
	} {
		if _, err := telling(t, tell).Gather(); err == nil {
			t.Errorf("%s is told", name)
		}
	}
}

// A rule over a metric that nobody tells never fires, and nobody notices.
func TestAlertsAreOverMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(filepath.Join("..", "..", "docs", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	families := make(map[string]Family)
	for _, f := range Families() {
		families[f.Name] = f
	}
	metric := regexp.MustCompile(`\b(dyno_[a-z_]+?)(_bucket|_sum|_count)?(?:\{([a-z]+)=[^}]*\})?(?:[^a-z_]|$)`)
	alerts := 0
	for line := range strings.Lines(string(file)) {
		expr, rule := strings.CutPrefix(strings.TrimSpace(line), "expr: ")
		if !rule {
			continue
		}
		alerts++
		found := metric.FindAllStringSubmatch(expr, -1)
		if len(found) == 0 {
			t.Errorf("no metric in %q", expr)
		}
		for _, m := range found {
			f, known := families[m[1]]
			switch {
			case !known:
				t.Errorf("there is no %s, of %q", m[1], expr)
			case (f.Kind == Histogram) != (m[2] != ""):
				t.Errorf("%s%s is asked of a %s", m[1], m[2], f.Kind)
			case m[3] != "" && !slices.Contains(f.Labels, m[3]):
				t.Errorf("%s has no label %s", m[1], m[3])
			}
		}
		if strings.Count(expr, "(") != strings.Count(expr, ")") {
			t.Errorf("parentheses do not match in %q", expr)
		}
	}
	if all := strings.Count(string(file), "- alert: "); alerts == 0 || alerts != all {
		t.Errorf("%d expressions of %d alerts", alerts, all)
	}
}
