// SPDX-License-Identifier: Apache-2.0

package lockload

import (
	"context"
	"errors"
)

// Keep measures what it costs to keep sessions alive that do nothing else.
func Keep(ctx context.Context, cfg Config, s Service) (*Report, error) {
	if err := cfg.timed(maxSessions); err != nil {
		return nil, err
	}
	if _, err := read(&cfg); err != nil {
		return nil, err
	}
	sessions, err := openAll(ctx, &cfg, s)
	if err != nil {
		return nil, err
	}
	defer closeAll(&cfg, sessions)
	pause(ctx, max(cfg.WarmUp, cfg.TTL)) // renewals come evenly after a while
	from, err := read(&cfg)
	if err != nil {
		return nil, err
	}
	pause(ctx, cfg.Duration)
	to, err := read(&cfg)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	r := newReport(&cfg, "keep")
	r.Lost = lost(sessions)
	r.Count = uint64(len(sessions) - r.Lost)
	r.spent(&cfg, from, to)
	r.Rate = 0 // nothing is asked for
	return r, nil
}
