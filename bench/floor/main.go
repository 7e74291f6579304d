// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what the program prints as JSON.
type report struct {
	Dir       string  `json:"dir"`
	ValueSize int     `json:"value_bytes"`
	FsyncP50  float64 `json:"fsync_p50_us"`
	FsyncP99  float64 `json:"fsync_p99_us"`
	Rows      []row   `json:"rows"`
}

// row is one level of concurrency.
type row struct {
	Waiters   int     `json:"waiters"`
	PutsPerS  float64 `json:"puts_per_s"`
	CPUMicros float64 `json:"cpu_us_per_put"`
	P50Micros float64 `json:"p50_us"`
	P99Micros float64 `json:"p99_us"`
}

func main() {
	dir := flag.String("dir", ".", "measure in a new directory below this one")
	waiters := flag.String("waiters", "1,16,64,256", "goroutines that put, one run for each")
	last := flag.Duration("time", 3*time.Second, "how long each run lasts")
	size := flag.Int("value", 1<<10, "size of a value in bytes")
	asJSON := flag.Bool("json", false, "print JSON only")
	flag.Parse()
	if err := run(*dir, *waiters, *last, *size, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(parent, waiters string, last time.Duration, size int, asJSON bool) (err error) {
	dir, err := os.MkdirTemp(parent, "floor-")
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.RemoveAll(dir); err == nil {
			err = gone
		}
	}()
	out := report{Dir: parent, ValueSize: size}
	if out.FsyncP50, out.FsyncP99, err = measureFsync(dir); err != nil {
		return err
	}
	for _, field := range strings.Split(waiters, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return fmt.Errorf("--waiters %q: numbers from 1 on, separated by commas", waiters)
		}
		measured, err := measurePuts(dir, n, last, size)
		if err != nil {
			return err
		}
		out.Rows = append(out.Rows, measured)
	}
	if !asJSON {
		printTable(out)
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func printTable(out report) {
	fmt.Printf("one synced Badger transaction per put, %d byte values; ", out.ValueSize)
	fmt.Printf("fsync p50 %.0f µs, p99 %.0f µs\n", out.FsyncP50, out.FsyncP99)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "waiters\tputs/s\tcpu µs/put\tp50 µs\tp99 µs\t")
	for _, r := range out.Rows {
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t\n",
			r.Waiters, r.PutsPerS, r.CPUMicros, r.P50Micros, r.P99Micros)
	}
	_ = w.Flush() // to standard output
}
