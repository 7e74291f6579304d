// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"
)

// badgerLog hands Badger's log to zap. What Badger calls information is of interest to
// nobody but who debugs it.
type badgerLog struct {
	log *zap.Logger
	// failure hears of what Badger tells to its log only.
	failure *badgerFailure
}

func (l badgerLog) Errorf(format string, args ...any) {
	line := text(format, args)
	l.log.Error("badger error", zap.String("text", line))
	l.watch(line)
}

func (l badgerLog) Warningf(format string, args ...any) {
	line := text(format, args)
	l.log.Warn("badger warning", zap.String("text", line))
	l.watch(line)
}

func (l badgerLog) Infof(format string, args ...any) { l.Debugf(format, args...) }

func (l badgerLog) Debugf(format string, args ...any) {
	if l.log.Core().Enabled(zap.DebugLevel) {
		l.log.Debug("badger", zap.String("text", text(format, args)))
	}
}

func (l badgerLog) watch(line string) {
	if onlyLogged(line) {
		l.failure.set(errors.New("storage: badger: " + line))
	}
}

// onlyLogged reports whether a line tells of a write or sync that failed and that Badger
// returns to nobody: it tries again, or goes on as if nothing had been. The rest of its
// errors is returned too, or is not about writing.
func onlyLogged(line string) bool {
	switch {
	case strings.HasPrefix(line, "error flushing memtable to disk"),
		strings.HasPrefix(line, "Error while curlf sync"): // of the value log
		return true
	case strings.Contains(line, "LOG Compact FAILED"):
		// One that declines for now has written nothing.
		return !strings.Contains(line, "there is a non-empty level")
	}
	return false
}

func text(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
