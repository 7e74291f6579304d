// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/bench/load"
	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/kv"
)

type benchFlags struct {
	load.Config
	keyFlags
	mix, dist string
	fsyncDir  string
	noPreload bool
	conns     int
	seed      uint64
}

// benchOutput is what `dyno bench kv -o json` prints.
type benchOutput struct {
	head
	Bucket string `json:"bucket"`
	R      string `json:"r"`
	W      string `json:"w"`
	*load.Report
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "kv",
		Short: "Put the cluster under load, and measure how it answers",
		Long: `Writes and reads keys for a while, and prints rates, latencies, and what they cost.

Without --rate the loop is closed: each client sends when its last answer is there. Then a
stall hides the requests that were not sent meanwhile; --expected-interval corrects for
that as HdrHistogram does it. With --rate the loop is open: requests are due at fixed
times, and latencies count from those, so that a stall shows in full.

Keys are written once before (--no-preload leaves that out), below a prefix that no other
run has, or --prefix. They stay there afterwards: run it on a cluster that can be thrown
away. Writers carry contexts, so that a write overwrites what was there;
where two clients meet on a key the next writer reads it first. Such reads are reported as
resolves, and are part of the write's latency.

--server-pid adds processor time and memory of server processes (Linux). Processor time
for each request is what to trust where a machine is shared; rates drift with it.
--fsync-dir measures how long that directory takes to make 4 KiB durable: under 20 µs it
is no disk, and figures of durable writes do not count.`,
		Example: `  dyno bench kv --clients 64 --duration 30s --mix 100:0
  dyno bench kv --rate 5000 --clients 256 --dist zipfian --mix 50:50
  dyno bench kv --mix 0:100 --r quorum --server-pid 4711 --fsync-dir ./cluster -o json`,
		Args: takes(0, 0),
	}
	f.keyFlags.flags(c)
	f.levels.readFlags(c.Flags())
	f.levels.writeFlags(c.Flags())
	a.completeLevels(c)
	f.loadFlags(c)
	a.complete(c, "dist", string(load.Uniform), string(load.Zipfian))
	c.RunE = a.does(func(ctx context.Context, _ []string) error { return a.benchKV(ctx, &f) })
	return a.parent("bench", "Measure a cluster", c, a.benchLockCommand())
}

func (f *benchFlags) loadFlags(c *cobra.Command) {
	fs := c.Flags()
	fs.IntVar(&f.Clients, "clients", 64, "requests under way at a time")
	fs.Float64Var(&f.Rate, "rate", 0, "requests a second (open loop); 0: closed loop")
	fs.DurationVar(&f.Duration, "duration", 10*time.Second, "how long to measure")
	fs.Uint64Var(&f.Ops, "ops", 0, "end after so many measured requests")
	fs.DurationVar(&f.WarmUp, "warm-up", 2*time.Second, "how long to run before measuring")
	fs.IntVar(&f.ValueSize, "value-size", 1024, "bytes of a value")
	fs.Uint64Var(&f.Keys, "keys", 10_000, "number of keys")
	fs.StringVar(&f.Prefix, "prefix", "", "begin keys so (default: one that no other run has)")
	fs.StringVar(&f.dist, "dist", string(load.Uniform), "of keys: uniform or zipfian")
	fs.StringVar(&f.mix, "mix", "50:50", "puts to gets")
	fs.BoolVar(&f.noPreload, "no-preload", false, "do not write every key before")
	fs.DurationVar(&f.ExpectedInterval, "expected-interval", 0,
		"closed loop: correct for coordinated omission, requests being expected so often")
	fs.IntSliceVar(&f.ServerPIDs, "server-pid", nil, "watch this server process; may be repeated")
	fs.StringVar(&f.fsyncDir, "fsync-dir", "", "measure the fsync time of this directory")
	fs.IntVar(&f.conns, "conns", 0, "connections to each node (default: one for 256 clients)")
	fs.Uint64Var(&f.seed, "seed", 1, "seed of keys, kinds and values")
}

// parseMix reads "puts:gets" as the share of puts.
func parseMix(text string) (float64, error) {
	puts, gets, found := strings.Cut(text, ":")
	p, errPuts := strconv.ParseFloat(puts, 64)
	g, errGets := strconv.ParseFloat(gets, 64)
	if !found || errPuts != nil || errGets != nil || !(p >= 0) || !(g >= 0) || !(p+g > 0) {
		return 0, usage("--mix %q: must be puts:gets, like 50:50", text)
	}
	return p / (p + g), nil
}

// config completes the load's configuration.
func (f *benchFlags) config(a *app) (load.Config, error) {
	cfg := f.Config
	var err error
	if cfg.PutShare, err = parseMix(f.mix); err != nil {
		return cfg, err
	}
	cfg.Distribution = load.Distribution(f.dist)
	cfg.Preload = !f.noPreload
	cfg.Timeout = a.timeoutOr(defaultTimeout)
	cfg.Seed = f.seed
	if cfg.Prefix == "" {
		cfg.Prefix, cfg.Fresh = fmt.Sprintf("bench/%x/", time.Now().UnixNano()), true
	}
	cfg.Classify = func(err error) (string, bool) {
		var answered *client.Error
		if errors.As(err, &answered) {
			return string(answered.Code), answered.Outcome == client.OutcomeUnknown
		}
		return "OTHER", false
	}
	if err := cfg.Validate(); err != nil {
		return cfg, usage("%w", err)
	}
	if cfg.ValueSize > kv.MaxValue {
		return cfg, usage("--value-size %d: a value has at most %d bytes", cfg.ValueSize, kv.MaxValue)
	}
	return cfg, nil
}

func (a *app) benchKV(ctx context.Context, f *benchFlags) error {
	cfg, err := f.config(a)
	if err != nil {
		return err
	}
	conns := f.conns
	if conns == 0 {
		conns = (cfg.Clients + 255) / 256
	}
	c, err := a.connect(func(cc *client.Config) { cc.ConnsPerNode = min(max(1, conns), 16) })
	if err != nil {
		return err
	}
	defer c.Close()
	var fsync *load.Fsync
	if f.fsyncDir != "" {
		measured, err := load.MeasureFsync(f.fsyncDir)
		if err != nil {
			return err
		}
		fsync = &measured
	}
	bar := a.newLoadBar()
	cfg.Progress = bar.show
	store := benchStore{
		bucket: c.Bucket(f.bucket), reads: f.levels.read(), writes: f.levels.write(),
	}
	report, err := load.Run(ctx, cfg, store)
	bar.done()
	if report == nil {
		return err
	}
	report.Fsync = fsync
	if fsync != nil && !fsync.Counts {
		report.Warnings = append(report.Warnings, fmt.Sprintf("an fsync in %s takes %.1f µs: that "+
			"is no disk, and figures of durable writes do not count", fsync.Dir, fsync.P50Micros))
	}
	for _, w := range report.Warnings {
		a.say("dyno: warning: %s", w)
	}
	return errors.Join(a.printBench(f, report), err)
}

// benchStore is a bucket under load.
type benchStore struct {
	bucket        *client.Bucket
	reads, writes []client.Option
}

var _ load.Store = benchStore{}

// Get implements load.Store.
func (s benchStore) Get(ctx context.Context, key string) (load.Reply, error) {
	r, err := s.bucket.Get(ctx, []byte(key), s.reads...)
	return load.Reply{Context: r.Context, Siblings: len(r.Siblings)}, err
}

// Put implements load.Store.
func (s benchStore) Put(ctx context.Context, key string, value, seen []byte) (load.Reply, error) {
	opts := s.writes
	if len(seen) > 0 {
		opts = append(opts[:len(opts):len(opts)], client.WithContext(seen))
	}
	r, err := s.bucket.Put(ctx, []byte(key), value, opts...)
	return load.Reply{Context: r.Context, Siblings: r.SiblingCount}, err
}

// loadBar shows the phases of a run, each as a bar of its own.
type loadBar struct {
	app   *app
	phase string
	bar   *progressbar.ProgressBar
}

func (a *app) newLoadBar() *loadBar { return &loadBar{app: a} }

func (b *loadBar) show(p load.Progress) {
	const steps = 1000
	if !terminal(b.app.errs) {
		return
	}
	if p.Phase != b.phase {
		b.done()
		b.phase = p.Phase
		b.bar = progressbar.NewOptions(steps, progressbar.OptionSetWriter(b.app.errs),
			progressbar.OptionSetDescription(p.Phase), progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	}
	_ = b.bar.Set(int(p.Fraction * steps)) // only draws
}

func (b *loadBar) done() {
	if b.bar != nil {
		_ = b.bar.Finish() // only draws
	}
	b.bar = nil
}
