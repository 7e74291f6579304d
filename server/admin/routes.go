// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"time"
)

// nothingHere is what every other path answers.
const nothingHere = "There is no page yet; there are /livez, /readyz?verbose, /metrics and " +
	"/debug/pprof/.\n"

// routes are the paths that are answered.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { say(w, "ok\n") })
	mux.HandleFunc("/readyz", s.ready)
	if s.parts.Metrics != nil {
		mux.Handle("/metrics", s.parts.Metrics)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		say(w, nothingHere)
	})
	long := http.NewServeMux()
	long.HandleFunc("/debug/pprof/", pprof.Index)
	long.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	long.HandleFunc("/debug/pprof/profile", pprof.Profile)
	long.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	long.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Type", "text/plain; charset=utf-8")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			head.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			say(w, "Only GET and HEAD are answered.\n")
			return
		}
		if strings.HasPrefix(r.URL.Path, "/debug/pprof/") {
			if s.tooLong(r) {
				w.WriteHeader(http.StatusBadRequest)
				say(w, fmt.Sprintf("A profile of more than %v is not taken.\n", s.cfg.ProfileTimeout))
				return
			}
			long.ServeHTTP(w, r) // its time is what it asks for
			return
		}
		// What can not set it goes by the server's.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.cfg.AnswerTimeout))
		mux.ServeHTTP(w, r)
	})
}

// tooLong reports whether a profile is asked to run for longer than it may.
func (s *Server) tooLong(r *http.Request) bool {
	text := r.URL.Query().Get("seconds") // a body is not read (I1)
	if text == "" {
		return false
	}
	seconds, err := strconv.ParseFloat(text, 64)
	return err != nil || !(seconds <= s.cfg.ProfileTimeout.Seconds())
}

// say writes a short answer. Who does not take it has gone, and nobody can be told.
func say(w http.ResponseWriter, text string) { _, _ = w.Write([]byte(text)) }

// ready answers /readyz: 200, or 503 with the reasons; with ?verbose every check.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusOK, ""
	_, all := r.URL.Query()["verbose"]
	for _, c := range s.parts.Ready() {
		switch {
		case c.Fault != "":
			status = http.StatusServiceUnavailable
			text += "[-] " + c.Name + ": " + strings.ReplaceAll(c.Fault, "\n", "; ") + "\n"
		case all:
			text += "[+] " + c.Name + "\n"
		}
	}
	w.WriteHeader(status)
	if status == http.StatusOK {
		say(w, text+"ready\n")
	} else {
		say(w, text+"not ready\n")
	}
}
