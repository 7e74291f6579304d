// SPDX-License-Identifier: Apache-2.0

//go:build !failpoints

package main

import "github.com/dyno-kv/dyno/internal/fail"

// failpoints are none, in this build.
func failpoints() (*fail.Set, error) { return nil, nil }
