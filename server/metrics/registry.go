// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy/exchange"
	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/handoff"
	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/internal/tally"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// scrapesAtOnce bounds how many scrapes are answered at a time.
const scrapesAtOnce = 4

// Sources are what metrics are read from.
type Sources struct {
	// Version is the build's.
	Version string
	// Now is the node's wall clock.
	Now    func() time.Time
	Server *server.Server
	Store  *storage.Store
	Budget *budget.Shared
	// Ready reports what /readyz says.
	Ready func() bool
	// Ring is the newest ring; nil before there is one.
	Ring func() *ring.Ring
	// Group is the node's part in the metadata group, Data what serves keys; nil while the
	// node has none.
	Group func() *meta.Group
	Data  func() *Data
}

// Data is what serves keys.
type Data struct {
	Node        kv.NodeID
	Replica     *replica.Replica
	Gossip      *gossip.Gossip
	Coordinator *coordinator.Coordinator
	Handoff     *handoff.Deliverer
	Exchange    *exchange.Exchange
	Purger      *exchange.Purger // nil where nothing is purged
	// Refill is how far a refill is; nil where there is none.
	Refill func() *wire.RefillStatus
}

// New returns a registry of all metrics of a node, and of its process.
func New(from Sources) (*prometheus.Registry, error) {
	c := &collector{from: from, families: make(map[string]*described)}
	for _, f := range Families() {
		c.families[f.Name] = &described{
			Family: f, desc: prometheus.NewDesc(f.Name, f.Help, f.Labels, nil),
		}
	}
	registry := prometheus.NewRegistry()
	for _, each := range []prometheus.Collector{
		c, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(each); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return registry, nil
}

// Handler answers scrapes of a registry. What can not be told is logged, and left out.
func Handler(registry *prometheus.Registry, log *zap.Logger) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: logger{log}, ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapesAtOnce,
	})
}

// logger is where promhttp writes what it could not tell.
type logger struct{ log *zap.Logger }

// Println implements promhttp.Logger.
func (l logger) Println(v ...any) {
	l.log.Error("metrics not told", zap.String("reason", fmt.Sprint(v...)))
}

// described is a family and how the registry knows it.
type described struct {
	Family
	desc *prometheus.Desc
}

// collector reads the sources when it is asked.
type collector struct {
	// Immutable.
	from     Sources
	families map[string]*described
}

var _ prometheus.Collector = (*collector)(nil)

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range c.families {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := &scrape{collector: c, to: to, names: make(map[kv.NodeID]string)}
	s.set("dyno_build_info", 1, c.from.Version, runtime.Version())
	s.node()
	s.requests()
	s.storage()
	if d := c.from.Data(); d != nil {
		s.gossip(d)
		s.coordinator(d)
		s.replica(d)
		s.hints(d)
		s.exchange(d)
		s.refill(d)
		s.purges(d)
	}
	if g := c.from.Group(); g != nil {
		s.group(g)
	}
}

// scrape is one answer on its way.
type scrape struct {
	*collector
	to    chan<- prometheus.Metric
	names map[kv.NodeID]string // of the members, as of the first question
}

// set tells the present value of a counter or gauge.
func (s *scrape) set(name string, value float64, labels ...string) {
	f, known := s.families[name]
	if !known {
		s.fail(name, "no such family")
		return
	}
	kind := prometheus.GaugeValue
	if f.Kind == Counter {
		kind = prometheus.CounterValue
	}
	m, err := prometheus.NewConstMetric(f.desc, kind, value, labels...)
	if err != nil || f.Kind == Histogram {
		s.fail(name, fmt.Sprint("no value of ", f.Kind, ": ", err))
		return
	}
	s.to <- m
}

// span says which bounds of a tally are shown, as powers of two, and how large its unit is.
type span struct {
	from, to, step int
	unit           float64
}

// Spans of what is shown: bounds a factor of four apart tell enough and keep series few.

// times is from 64 us to 17 s, sizes from 64 bytes to 256 KiB, few from 1 to 4095.
func (s *scrape) times() span { return span{from: 6, to: 24, step: 2, unit: 1e-6} }
func (s *scrape) sizes() span { return span{from: 6, to: 18, step: 2, unit: 1} }
func (s *scrape) few() span   { return span{from: 1, to: 12, step: 1, unit: 1} }

// tell tells a tally.
func (s *scrape) tell(name string, t *tally.Doubling, shown span, labels ...string) {
	f, known := s.families[name]
	if !known || f.Kind != Histogram {
		s.fail(name, "no such histogram")
		return
	}
	below, all := t.Below(shown.from, shown.to, shown.step)
	buckets := make(map[float64]uint64, len(below))
	for i, n := range below {
		bound := uint64(1) << (shown.from + i*shown.step)
		if shown.unit == 1 {
			bound-- // whole numbers below 2^n are at most 2^n - 1
		}
		buckets[float64(bound)*shown.unit] = n
	}
	sum := float64(t.Sum()) * shown.unit
	m, err := prometheus.NewConstHistogram(f.desc, all, sum, buckets, labels...)
	if err != nil {
		s.fail(name, err.Error())
		return
	}
	s.to <- m
}

// fail has the scrape fail for a fault of our own.
func (s *scrape) fail(name, why string) {
	err := fmt.Errorf("metrics: %s: %s", name, why)
	s.to <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
}

// flag is the value of what is so or not.
func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// nameOf is the name of a member.
func (s *scrape) nameOf(node kv.NodeID) string {
	if len(s.names) == 0 {
		if current := s.from.Ring(); current != nil {
			for _, m := range current.Members() {
				s.names[m.ID] = m.Name
			}
		}
	}
	if name, known := s.names[node]; known {
		return name
	}
	return fmt.Sprintf("number %d", node)
}
