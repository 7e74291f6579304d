// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestLinesOfMemberlistKeepTheirLevel(t *testing.T) {
	for _, tt := range []struct {
		line   string
		level  zapcore.Level
		detail string
	}{
		{"[DEBUG] memberlist: Initiating push/pull", zap.DebugLevel, "Initiating push/pull"},
		{"[INFO] memberlist: Marking n2 as failed", zap.InfoLevel, "Marking n2 as failed"},
		{"[WARN] memberlist: Got ping", zap.WarnLevel, "Got ping"},
		{"[ERR] memberlist: Push/Pull failed: x\n", zap.WarnLevel, "Push/Pull failed: x"},
		{"[ERROR] memberlist: Failed", zap.WarnLevel, "Failed"},
		{"Err: Could not set the deadline", zap.WarnLevel, "Err: Could not set the deadline"},
		{"[", zap.WarnLevel, "["},
		{"", zap.WarnLevel, ""},
		{"[INFO] " + strings.Repeat("x", 9999), zap.InfoLevel, strings.Repeat("x", maxLogDetail)},
	} {
		core, seen := observer.New(zap.DebugLevel)
		newLogWriter(zap.New(core)).logger().Print(tt.line)
		if seen.Len() != 1 {
			t.Fatalf("%q: %d entries", tt.line, seen.Len())
		}
		e := seen.All()[0]
		detail := e.ContextMap()["detail"]
		if e.Level != tt.level || e.Message != "memberlist message" || detail != tt.detail {
			t.Errorf("%q became %v %q %q", tt.line, e.Level, e.Message, detail)
		}
	}
}

func TestStrangersCanNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zap.InfoLevel)
		w := newLogWriter(zap.New(core))
		logger := w.logger()
		for range 1000 {
			logger.Print("[ERR] memberlist: discarding packet with unacceptable label")
		}
		if seen.Len() != logsPerWindow {
			t.Errorf("%d lines at once, want %d", seen.Len(), logsPerWindow)
		}
		time.Sleep(logWindow)
		logger.Print("[ERR] memberlist: one more")
		last := seen.All()[seen.Len()-1].ContextMap()
		if last["suppressed"] != uint64(1000-logsPerWindow) || w.dropped.Load() != 980 {
			t.Errorf("the next line tells %v, counted %d; want 980", last, w.dropped.Load())
		}
	})
}
