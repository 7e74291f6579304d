// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	sample := &cobra.Command{
		Use:   "print",
		Short: "Print a documented sample of the configuration file",
		Long: "Prints a configuration file in TOML with every key, what it means, and its " +
			"default.\n'dyno dev --config FILE' reads such a file; unknown keys are refused.",
		Example: "  dyno config print > dyno.toml\n  dyno dev --config dyno.toml",
		Args:    takes(0, 0),
		RunE: a.does(func(context.Context, []string) error {
			text, err := sampleFile()
			if err != nil {
				return err
			}
			return a.printf("%s", text)
		}),
	}
	return a.parent("config", "The configuration file", sample)
}
