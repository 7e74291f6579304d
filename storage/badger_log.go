// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"strings"

	"go.uber.org/zap"
)

// badgerLog hands Badger's log to zap. What Badger calls information is of interest to
// nobody but who debugs it.
type badgerLog struct{ log *zap.Logger }

func (l badgerLog) Errorf(format string, args ...any) {
	l.log.Error("badger error", zap.String("text", text(format, args)))
}

func (l badgerLog) Warningf(format string, args ...any) {
	l.log.Warn("badger warning", zap.String("text", text(format, args)))
}

func (l badgerLog) Infof(format string, args ...any) { l.Debugf(format, args...) }

func (l badgerLog) Debugf(format string, args ...any) {
	if l.log.Core().Enabled(zap.DebugLevel) {
		l.log.Debug("badger", zap.String("text", text(format, args)))
	}
}

func text(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
