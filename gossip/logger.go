// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// logWindow and logsPerWindow bound what strangers can make us log: memberlist
	// writes a line for each packet that it refuses.
	logWindow     = 10 * time.Second
	logsPerWindow = 20

	// maxLogDetail bounds one line; some print what came from the network.
	maxLogDetail = 512
)

// logWriter turns the lines of memberlist into entries of zap. Each Write is one
// line, as package log has it.
type logWriter struct {
	log     *zap.Logger
	dropped atomic.Uint64

	// Guarded by mu.
	mu    sync.Mutex
	start time.Time
	lines int
	late  uint64 // dropped since the last line that went through
}

func newLogWriter(l *zap.Logger) *logWriter { return &logWriter{log: l} }

// logger returns the writer in the form that memberlist takes.
func (w *logWriter) logger() *log.Logger { return log.New(w, "", 0) }

func (w *logWriter) Write(line []byte) (int, error) {
	level, detail := splitLevel(line)
	entry := w.log.Check(level, "memberlist message")
	if entry == nil {
		return len(line), nil
	}
	suppressed, ok := w.take(level, time.Now())
	if !ok {
		return len(line), nil
	}
	fields := []zap.Field{zap.ByteString("detail", detail)}
	if suppressed > 0 {
		fields = append(fields, zap.Uint64("suppressed", suppressed))
	}
	entry.Write(fields...)
	return len(line), nil
}

// take reports whether a line may go out now, and how many were left out before.
// Debug lines are not counted: who turns them on wants them all.
func (w *logWriter) take(level zapcore.Level, now time.Time) (suppressed uint64, ok bool) {
	if level == zapcore.DebugLevel {
		return 0, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.start) >= logWindow {
		w.start, w.lines = now, 0
	}
	if w.lines >= logsPerWindow {
		w.late++
		w.dropped.Add(1)
		return 0, false
	}
	w.lines++
	suppressed, w.late = w.late, 0
	return suppressed, true
}

// splitLevel parses "[WARN] memberlist: text". Errors of memberlist heal by
// themselves (a ping that failed, a packet of a stranger), and error is for what
// needs a person, so they become warnings; lines without a level are odd enough to
// be warnings too.
func splitLevel(line []byte) (zapcore.Level, []byte) {
	level := zapcore.WarnLevel
	line = bytes.TrimRight(line, "\n")
	if rest, ok := bytes.CutPrefix(line, []byte("[")); ok {
		if name, text, ok := bytes.Cut(rest, []byte("] ")); ok {
			switch string(name) {
			case "DEBUG":
				level = zapcore.DebugLevel
			case "INFO":
				level = zapcore.InfoLevel
			}
			line = text
		}
	}
	line = bytes.TrimPrefix(line, []byte("memberlist: "))
	if len(line) > maxLogDetail {
		line = line[:maxLogDetail]
	}
	return level, line
}
