// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/wire"
)

// versionOutput is what `dyno version -o json` prints.
type versionOutput struct {
	head
	Release  string `json:"release"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// Proto and PeerProto are the protocols' versions that this build speaks.
	Proto     int `json:"proto"`
	PeerProto int `json:"peer_proto"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print what this program is",
		Args:    takes(0, 0),
		Example: "  dyno version\n  dyno version -o json",
		RunE: a.does(func(context.Context, []string) error {
			v := thisVersion()
			if a.form == formJSON {
				return a.printJSON(v)
			}
			revision := v.Revision
			if v.Modified {
				revision += " (modified)"
			}
			if revision != "" {
				revision = " " + revision
			}
			return a.printf("dyno %s%s %s %s, proto %d, peer proto %d\n",
				v.Release, revision, v.Go, v.Platform, v.Proto, v.PeerProto)
		}),
	}
}

func thisVersion() versionOutput {
	v := versionOutput{
		head: newHead(), Release: version, Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Proto:    wire.ProtoVersion, PeerProto: wire.PeerVersionMax,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
