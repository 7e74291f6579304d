// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dyno-kv/dyno/sim/overlay"
)

// patience bounds how long the go command may think about its own version: where go.mod
// names another toolchain it may have to load it.
const patience = 2 * time.Minute

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	cache := flags.String("cache", "", "folder for the generated files (required)")
	goTool := flags.String("go", "go", "the go command that will build with the overlay")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *cache == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "gen: say -cache DIR, and nothing else")
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	toolchain, err := overlay.Local(ctx, *goTool, ".")
	if err != nil {
		fmt.Fprintln(stderr, "gen:", err)
		return 1
	}
	made, err := overlay.Generate(toolchain, *cache)
	if err != nil {
		fmt.Fprintln(stderr, "gen:", err)
		return 1
	}
	fmt.Fprintln(stdout, made.Path)
	return 0
}
