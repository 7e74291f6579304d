// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func put(c *rpc.Client, q wire.PutRequest) (wire.PutResult, error) {
	var result wire.PutResult
	b, err := call(c, wire.MethodPut, wire.AppendPutRequest(nil, &q))
	if err == nil {
		err = wire.DecodePutResult(b, &result)
	}
	return result, err
}

func get(c *rpc.Client, q wire.GetRequest) (wire.GetResult, error) {
	var result wire.GetResult
	b, err := call(c, wire.MethodGet, wire.AppendGetRequest(nil, &q))
	if err == nil {
		err = wire.DecodeGetResult(b, &result)
	}
	return result, err
}
