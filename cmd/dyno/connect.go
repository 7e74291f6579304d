// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/kv"
)

// defaultTimeout bounds a request with all its attempts.
const defaultTimeout = 5 * time.Second

// connect makes a client from the global flags. It connects with the first request.
func (a *app) connect(change func(*client.Config)) (*client.Client, error) {
	cfg := client.DefaultConfig()
	cfg.Name = "dyno-cli/" + version
	cfg.Endpoints = a.endpoints
	cfg.Timeout = defaultTimeout
	if a.timeout > 0 {
		cfg.Timeout = a.timeout
	}
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		return nil, usage("%w", err)
	}
	return client.New(cfg)
}

// withClient does something with a client, and closes it.
func (a *app) withClient(do func(*client.Client) error) error {
	c, err := a.connect(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// asks makes an action of what a command does with a client.
func (a *app) asks(do func(ctx context.Context, c *client.Client, args []string) error) action {
	return func(ctx context.Context, args []string) error {
		return a.withClient(func(c *client.Client) error { return do(ctx, c, args) })
	}
}

// level is a flag for how many replicas a request needs.
type level struct{ kv.Level }

var _ pflag.Value = (*level)(nil)

// Set implements pflag.Value.
func (l *level) Set(text string) (err error) {
	if l.Level, err = kv.ParseLevel(text); err != nil {
		return fmt.Errorf("%q: must be a number, one, quorum or all", text)
	}
	return nil
}

// Type implements pflag.Value.
func (l *level) Type() string { return "level" }

// levels are the flags of requests that need replicas.
type levels struct{ r, w, pr, pw level }

// The flags of reads and of writes. A flag of one letter needs that letter as its short
// form, or shells can not complete its values.
func (l *levels) readFlags(f *pflag.FlagSet) {
	f.VarP(&l.r, "r", "r", "replicas that must answer: a number, one, quorum or all")
	f.Var(&l.pr, "pr", "owners that must be among them")
}

func (l *levels) writeFlags(f *pflag.FlagSet) {
	f.VarP(&l.w, "w", "w", "replicas that must have stored it: a number, one, quorum or all")
	f.Var(&l.pw, "pw", "owners that must be among them")
}

func (l *levels) read() []client.Option {
	var opts []client.Option
	if l.r.Level != kv.LevelUnset {
		opts = append(opts, client.WithR(l.r.Level))
	}
	if l.pr.Level != kv.LevelUnset {
		opts = append(opts, client.WithPR(l.pr.Level))
	}
	return opts
}

func (l *levels) write() []client.Option {
	var opts []client.Option
	if l.w.Level != kv.LevelUnset {
		opts = append(opts, client.WithW(l.w.Level))
	}
	if l.pw.Level != kv.LevelUnset {
		opts = append(opts, client.WithPW(l.pw.Level))
	}
	return opts
}
