// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package network

import (
	"context"
	"errors"
)

func newSpaces(context.Context, Mode, Config) (Network, error) {
	return nil, errors.New("needs the network namespaces of Linux")
}
