// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/dyno-kv/dyno/sim/trial"
)

// Bounds of what a process told: its first and its last bytes are kept. A stack of all
// goroutines is long, and its head is what counts.
const (
	maxHead   = 256 << 10
	maxTail   = 64 << 10
	mostLines = 16
)

// bounded keeps the beginning and the end of what is written to it.
type bounded struct {
	mu         sync.Mutex // guards what follows
	head, tail []byte
	lost       int
}

func newBounded() *bounded { return &bounded{} }

func (b *bounded) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(text)
	if room := maxHead - len(b.head); room > 0 {
		first := text[:min(room, len(text))]
		b.head, text = append(b.head, first...), text[len(first):]
	}
	b.tail = append(b.tail, text...)
	if over := len(b.tail) - maxTail; over > 0 {
		b.tail = append(b.tail[:0], b.tail[over:]...)
		b.lost += over
	}
	return n, nil
}

func (b *bounded) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := bytes.Clone(b.head)
	if b.lost > 0 {
		all = fmt.Appendf(all, "\n... %d bytes are left out ...\n", b.lost)
	}
	return append(all, b.tail...)
}

// problem says how a process ended that did not succeed.
func (b *bounded) problem(state *os.ProcessState) trial.Problem {
	all := string(b.bytes())
	for _, mark := range []struct {
		text, rule string
		unknown    bool
	}{
		{"WARNING: DATA RACE", ruleRace, false}, // first: it goes on behind it
		{"panic: ", ruleCrash, false},
		{"fatal error: ", ruleCrash, false},
		{"--- FAIL", ruleChild, true}, // an error of the rig in there
	} {
		if lines := linesFrom(all, mark.text); lines != "" {
			unknown := mark.unknown || noMemory(lines)
			return trial.Problem{Rule: mark.rule, Text: lines, Unknown: unknown}
		}
	}
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return trial.Problem{
			Rule: ruleKilled, Text: "somebody killed it: perhaps there was no memory left", Unknown: true,
		}
	}
	text := state.String()
	if last := strings.TrimSpace(all); last != "" {
		text += ": " + linesFrom(last[max(0, len(last)-1024):], "")
	}
	return trial.Problem{Rule: ruleChild, Text: text, Unknown: true}
}

// noMemory reports whether a crash tells of the machine, not of the program.
func noMemory(lines string) bool {
	return strings.Contains(lines, "out of memory") ||
		strings.Contains(lines, "cannot allocate memory")
}

// linesFrom are some lines from the first that begins with mark.
func linesFrom(text, mark string) string {
	var kept []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if len(kept) == 0 && !strings.HasPrefix(line, mark) {
			continue
		}
		if kept = append(kept, line); len(kept) == mostLines {
			break
		}
	}
	return strings.Join(kept, "\n")
}
