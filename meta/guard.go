// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dyno-kv/dyno/internal/invariant"
)

// guard calls the library, which panics where something can not be: the engine ends with
// an error then, and nothing more is written. Assertions of our own stay what they are.
func guard(call func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *invariant.Broken:
			panic(r)
		default:
			err = fmt.Errorf("%w: %v", ErrBrokenRaft, r)
		}
	}()
	call()
	return nil
}

// raftLogger hands the library's log to zap. The library logs each vote and each message
// that it ignores; one level lower they are what an operator wants to see.
type raftLogger struct{ log *zap.Logger }

var _ raft.Logger = raftLogger{}

func newRaftLogger(log *zap.Logger) raftLogger { return raftLogger{log: log.Named("raft")} }

const raftSays = "raft says" // a log message is constant

func (l raftLogger) Debug(v ...any)            { l.say(zap.DebugLevel, v...) }
func (l raftLogger) Debugf(f string, v ...any) { l.sayf(zap.DebugLevel, f, v...) }

func (l raftLogger) Info(v ...any)            { l.say(zap.DebugLevel, v...) }
func (l raftLogger) Infof(f string, v ...any) { l.sayf(zap.DebugLevel, f, v...) }

func (l raftLogger) Warning(v ...any)            { l.say(zap.InfoLevel, v...) }
func (l raftLogger) Warningf(f string, v ...any) { l.sayf(zap.InfoLevel, f, v...) }

func (l raftLogger) Error(v ...any)            { l.say(zap.WarnLevel, v...) }
func (l raftLogger) Errorf(f string, v ...any) { l.sayf(zap.WarnLevel, f, v...) }

func (l raftLogger) say(level zapcore.Level, v ...any) {
	if entry := l.log.Check(level, raftSays); entry != nil {
		entry.Write(zap.String("text", fmt.Sprint(v...)))
	}
}

func (l raftLogger) sayf(level zapcore.Level, format string, v ...any) {
	if entry := l.log.Check(level, raftSays); entry != nil {
		entry.Write(zap.String("text", fmt.Sprintf(format, v...)))
	}
}

// Fatal and Panic do not end the process: guard makes an error of them.
func (l raftLogger) Fatal(v ...any)            { panic(fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }
func (l raftLogger) Panic(v ...any)            { panic(fmt.Sprint(v...)) }
func (l raftLogger) Panicf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }

// stopwatch tells how long the write has taken that is under way.
type stopwatch struct {
	base  time.Time
	since atomic.Int64 // from base, in ns, 1 at least; 0: none is under way
}

func newStopwatch() *stopwatch { return &stopwatch{base: time.Now()} }

func (w *stopwatch) start() { w.since.Store(max(1, int64(time.Since(w.base)))) }
func (w *stopwatch) stop()  { w.since.Store(0) }

// running returns how long the write has taken; 0 where none is under way.
func (w *stopwatch) running() time.Duration {
	since := w.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(w.base) - time.Duration(since)
}

// awaitStall returns ErrStalled once a write takes longer than limit, and nil when ctx
// ends before.
func (w *stopwatch) awaitStall(ctx context.Context, limit time.Duration) error {
	ticker := time.NewTicker(max(time.Millisecond, limit/10))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if took := w.running(); took > limit {
				return fmt.Errorf("%w: a write of the raft log has not ended for %v", ErrStalled, took)
			}
		case <-ctx.Done():
			return nil
		}
	}
}
