// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"

	"github.com/dyno-kv/dyno/node"
)

// envPrefix begins the variables that set what a configuration file can set.
const envPrefix = "DYNO_SERVER_"

// settings is what `dyno dev` and `dyno serve` can be told: by a flag, by the environment,
// by a file, in this order. Keys of the file are the flags' names with underscores.
type settings struct {
	Nodes        int           `koanf:"nodes"`
	Dir          string        `koanf:"dir"`
	Name         string        `koanf:"name"`
	DataDir      string        `koanf:"data_dir"`
	Listen       string        `koanf:"listen"`
	PeerListen   string        `koanf:"peer_listen"`
	GossipListen string        `koanf:"gossip_listen"`
	AdminListen  string        `koanf:"admin_listen"`
	Advertise    string        `koanf:"advertise"`
	Insecure     bool          `koanf:"insecure"`
	Join         []string      `koanf:"join"`
	Bootstrap    bool          `koanf:"bootstrap"`
	Rejoin       bool          `koanf:"rejoin"`
	Expect       int           `koanf:"expect"`
	Zone         string        `koanf:"zone"`
	Weight       uint          `koanf:"weight"`
	Replicas     int           `koanf:"replicas"`
	Partitions   int           `koanf:"partitions"`
	DiskReserve  string        `koanf:"disk_reserve"`
	MemoryTarget string        `koanf:"memory_target"`
	DrainTimeout time.Duration `koanf:"drain_timeout"`
	VoterTimeout time.Duration `koanf:"voter_timeout"`
	PurgeGrace   time.Duration `koanf:"purge_grace"`
	LogLevel     string        `koanf:"log_level"`
	LogFormat    string        `koanf:"log_format"`
}

func defaultSettings() settings {
	return settings{
		Listen: defaultEndpoint, Join: []string{}, Weight: 1,
		DiskReserve: "512MiB", MemoryTarget: "512MiB", DrainTimeout: 10 * time.Second,
		VoterTimeout: time.Minute, PurgeGrace: node.DefaultPurgeGrace,
		LogLevel: "warn", LogFormat: "auto",
	}
}

// settingTexts documents each key, for the sample file.
var settingTexts = []struct{ key, text string }{
	{"nodes", "dev: how many nodes a new cluster has, 1 to 16; 0: 3, or as many as the\n" +
		"cluster in dir has."},
	{"dir", "dev: where the cluster is kept. Empty: a temporary directory that is\n" +
		"removed at the end."},
	{"name", "serve: the node's name, the same for ever; needed."},
	{"data_dir", "serve: the node's directory; needed."},
	{"listen", "Where clients are answered: of this node, or of the first node of dev,\n" +
		"whose others follow 10 ports apart (port 0 there: free ports). Peers are\n" +
		"one port above, gossip two, the admin port three."},
	{"peer_listen", "serve: where other nodes are answered. Empty: one port above listen."},
	{"gossip_listen", "serve: where gossip is answered. Empty: two ports above listen."},
	{"admin_listen", "Where health, metrics and profiles are answered by HTTP; of dev, that of the\n" +
		"first node, whose others follow 10 ports apart. Empty: three ports above listen."},
	{"advertise", "serve: the IP address that others are told. Empty: that of listen."},
	{"insecure", "serve: listen beyond this machine, although nobody is asked who they are."},
	{"join", "serve: client addresses of members. A node with an empty directory joins\n" +
		"their cluster; without any it founds one."},
	{"bootstrap", "serve: found a cluster in an empty directory although join is set."},
	{"rejoin", "Where the group refuses a node's directory, the store that the node had is\n" +
		"lost: what the directory holds of it is removed, and it is filled from the\n" +
		"other owners. Nothing changes where the directory is the node's own."},
	{"expect", "serve: how many nodes make up the first ring. 0 on the first node: 3."},
	{"zone", "serve: what fails together with this node, such as a rack."},
	{"weight", "serve: the node's share of the data beside the others'."},
	{"replicas", "How many nodes hold each key of a new cluster; 0: 3, or fewer where\n" +
		"there are fewer nodes."},
	{"partitions", "Into how many partitions a new cluster divides its keys: a power of\n" +
		"two; 0: 128."},
	{"disk_reserve", "A node refuses writes while its disk has less free space than this."},
	{"memory_target", "Above this much memory for each node garbage is collected harder, at the\n" +
		"cost of processor time. Raise it for much more data; 0: no target.\n" +
		"GOMEMLIMIT in the environment goes before it."},
	{"drain_timeout", "How long a node that is told to stop waits for requests under way."},
	{"voter_timeout", "How long a voter of the metadata group may be silent before another member\n" +
		"takes its seat. The same on all nodes."},
	{"purge_grace", "How long a deleted key leaves a mark at least, before all nodes together can\n" +
		"take it away; two minutes where it is less. The same on all nodes."},
	{"log_level", "debug, info, warn or error."},
	{"log_format", "json, console, or auto: console where standard error is a terminal."},
}

// devFlags adds the flags of dev.
func (s *settings) devFlags(f *pflag.FlagSet) {
	f.IntVar(&s.Nodes, "nodes", s.Nodes, "nodes of a new cluster (default 3)")
	f.StringVar(&s.Dir, "dir", s.Dir, "keep the cluster here (default: a temporary directory)")
	f.StringVar(&s.Listen, "listen", s.Listen,
		"client address of the first node; the others follow, 10 ports apart; port 0: free ports")
	f.StringVar(&s.AdminListen, "admin-listen", s.AdminListen,
		"admin address (HTTP) of the first node; the others follow, 10 ports apart")
	s.commonFlags(f)
}

// serveFlags adds the flags of serve.
func (s *settings) serveFlags(f *pflag.FlagSet) {
	f.StringVar(&s.Name, "name", s.Name, "the node's name (needed)")
	f.StringVar(&s.DataDir, "data-dir", s.DataDir, "the node's directory (needed)")
	f.StringVar(&s.Listen, "listen", s.Listen,
		"client address; peers are one port above, gossip two, admin three")
	f.StringVar(&s.PeerListen, "peer-listen", s.PeerListen, "address for other nodes")
	f.StringVar(&s.GossipListen, "gossip-listen", s.GossipListen, "address for gossip")
	f.StringVar(&s.AdminListen, "admin-listen", s.AdminListen,
		"address for health, metrics and profiles (HTTP)")
	f.StringVar(&s.Advertise, "advertise", s.Advertise,
		"the IP address that others are told (default: that of --listen)")
	f.BoolVar(&s.Insecure, "insecure", s.Insecure,
		"listen beyond this machine, although nobody is asked who they are")
	f.StringSliceVar(&s.Join, "join", s.Join,
		"client addresses of members, HOST:PORT,...; without any an empty node founds a cluster")
	f.BoolVar(&s.Bootstrap, "bootstrap", s.Bootstrap, "found a cluster although --join is given")
	f.IntVar(&s.Expect, "expect", s.Expect, "nodes that make up the first ring (default 3)")
	f.StringVar(&s.Zone, "zone", s.Zone, "what fails together with this node, such as a rack")
	f.UintVar(&s.Weight, "weight", s.Weight, "share of the data beside the others'")
	s.commonFlags(f)
}

func (s *settings) commonFlags(f *pflag.FlagSet) {
	f.BoolVar(&s.Rejoin, "rejoin", s.Rejoin,
		"a directory that is refused is lost: wipe it, and fill it from the other owners")
	f.IntVar(&s.Replicas, "replicas", s.Replicas, "replicas of a new cluster (default 3)")
	f.IntVar(&s.Partitions, "partitions", s.Partitions,
		"partitions of a new cluster, a power of two (default 128)")
	f.StringVar(&s.DiskReserve, "disk-reserve", s.DiskReserve,
		"refuse writes while the disk has less free space")
	f.StringVar(&s.MemoryTarget, "memory-target", s.MemoryTarget,
		"collect garbage harder above this much memory for each node; 0: no target")
	f.DurationVar(&s.DrainTimeout, "drain-timeout", s.DrainTimeout,
		"how long a node waits for requests under way when it is told to stop")
	f.DurationVar(&s.VoterTimeout, "voter-timeout", s.VoterTimeout,
		"how long a voter of the metadata group may be silent before another takes its seat")
	f.DurationVar(&s.PurgeGrace, "purge-grace", s.PurgeGrace,
		"how long a deleted key leaves a mark at least, before all nodes together take it away")
	f.StringVar(&s.LogLevel, "log-level", s.LogLevel, "debug, info, warn or error")
	f.StringVar(&s.LogFormat, "log-format", s.LogFormat,
		"json, console, or auto: console on a terminal")
}

// configured has a command that runs nodes read its settings from everywhere, and then run.
func (a *app) configured(c *cobra.Command, run func(context.Context, settings) error) {
	config := c.Flags().String("config", "", "read a configuration file (TOML)")
	a.complete(c, "log-level", "debug", "info", "warn", "error")
	a.complete(c, "log-format", "json", "console", "auto")
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		s, err := loadSettings(*config, os.Environ(), c.Flags())
		if err != nil {
			return usage("%w", err)
		}
		return run(ctx, s)
	})
}

// loadSettings puts defaults, file, environment and flags together. Only flags that were
// given count. A key that nobody knows is refused, wherever it comes from.
func loadSettings(path string, environ []string, flags *pflag.FlagSet) (settings, error) {
	out, known := defaultSettings(), knownKeys()
	k := koanf.New(".")
	if err := k.Load(structs.Provider(out, "koanf"), nil); err != nil {
		return out, fmt.Errorf("defaults: %w", err)
	}
	if path != "" {
		if _, err := os.Stat(path); err != nil {
			return out, fmt.Errorf("configuration: %w", err)
		}
		if err := k.Load(file.Provider(path), toml.Parser()); err != nil {
			return out, fmt.Errorf("configuration %s: %w", path, err)
		}
		for _, key := range k.Keys() {
			if !slices.Contains(known, key) {
				return out, fmt.Errorf("configuration %s: unknown key %q; known are %s",
					path, key, strings.Join(known, ", "))
			}
		}
	}
	variables := env.Provider(".", env.Opt{
		Prefix: envPrefix, EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key := strings.ToLower(strings.TrimPrefix(name, envPrefix))
			if key == "join" {
				return key, strings.Split(strings.ReplaceAll(value, " ", ""), ",")
			}
			return key, value
		},
	})
	if err := k.Load(variables, nil); err != nil {
		return out, fmt.Errorf("environment: %w", err)
	}
	for _, key := range k.Keys() {
		if !slices.Contains(known, key) {
			return out, fmt.Errorf("environment: %s%s sets nothing; known keys are %s",
				envPrefix, strings.ToUpper(key), strings.Join(known, ", "))
		}
	}
	given := posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
		key := strings.ReplaceAll(f.Name, "-", "_")
		if !f.Changed || !slices.Contains(known, key) {
			return "", nil
		}
		return key, posflag.FlagVal(flags, f)
	})
	if err := k.Load(given, nil); err != nil {
		return out, fmt.Errorf("flags: %w", err)
	}
	if err := k.Unmarshal("", &out); err != nil {
		return out, fmt.Errorf("configuration: %w", err)
	}
	return out, nil
}

func knownKeys() []string {
	keys := make([]string, 0, len(settingTexts))
	for _, s := range settingTexts {
		keys = append(keys, s.key)
	}
	return keys
}

// sampleFile is a configuration file with every key, its meaning and its default.
func sampleFile() (string, error) {
	k := koanf.New(".")
	if err := k.Load(structs.Provider(defaultSettings(), "koanf"), nil); err != nil {
		return "", fmt.Errorf("defaults: %w", err)
	}
	var b strings.Builder
	b.WriteString("# What 'dyno dev' and 'dyno serve' can be told. Flags go before the environment\n" +
		"# (" + envPrefix + "LISTEN and so on), which goes before this file.\n")
	for _, s := range settingTexts {
		b.WriteString("\n")
		for line := range strings.Lines(s.text) {
			b.WriteString("# " + strings.TrimSuffix(line, "\n") + "\n")
		}
		value := k.Get(s.key)
		switch v := value.(type) {
		case string:
			value = strconv.Quote(v)
		case time.Duration:
			value = strconv.Quote(v.String())
		case []string:
			value = "[" + strings.Join(v, ", ") + "]" // the default is empty
		}
		fmt.Fprintf(&b, "%s = %v\n", s.key, value)
	}
	return b.String(), nil
}

// parseSize reads a number of bytes: "512MiB", "1G", "1000".
func parseSize(text string) (uint64, error) {
	digits := strings.TrimRight(text, "KMGTiB ")
	shift := 0
	switch unit := strings.TrimSpace(text[len(digits):]); unit {
	case "", "B":
	case "K", "KiB":
		shift = 10
	case "M", "MiB":
		shift = 20
	case "G", "GiB":
		shift = 30
	case "T", "TiB":
		shift = 40
	default:
		return 0, fmt.Errorf("size %q: unit %q is none of B, KiB, MiB, GiB, TiB", text, unit)
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("size %q: must be a whole number and a unit, like 512MiB", text)
	}
	return n << shift, nil
}

// level reads the log level.
func (s *settings) level() (zapcore.Level, error) {
	level, err := zapcore.ParseLevel(s.LogLevel)
	if err != nil || level > zapcore.ErrorLevel {
		return level, fmt.Errorf("log level %q: must be debug, info, warn or error", s.LogLevel)
	}
	return level, nil
}
