// SPDX-License-Identifier: Apache-2.0

package node

import "errors"

// errInstruments refuses failpoints and tracers of one part: nobody could say whether the
// others were left out on purpose.
var errInstruments = errors.New("node: Points and Trace of Storage, Coordinator and Server are " +
	"set by node; set those of node.Config, which go to all parts")

// checkInstruments reports what is wrong with failpoints and tracers.
func (c *Config) checkInstruments() error {
	if c.Storage.Points != nil || c.Storage.Trace != nil ||
		c.Coordinator.Points != nil || c.Coordinator.Trace != nil || c.Server.Points != nil {
		return errInstruments
	}
	return nil
}

// instrument hands the node's failpoints and tracer to the configs of its parts; what a
// part is given beside its config is given by whoever opens it.
func (c *Config) instrument() {
	c.Storage.Points, c.Storage.Trace = c.Points, c.Trace
	c.Coordinator.Points, c.Coordinator.Trace = c.Points, c.Trace
	c.Server.Points = c.Points
}
