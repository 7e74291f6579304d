// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// getURL is a program for scripts: geturl URL prints the status and the body of what it
// gets, and ends with 0 where the status is 200.
func getURL() {
	c := http.Client{Timeout: 10 * time.Second}
	answer, err := c.Get(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	body, err := io.ReadAll(answer.Body)
	fmt.Printf("%d\n%s", answer.StatusCode, body)
	if err != nil || answer.StatusCode != http.StatusOK {
		os.Exit(1)
	}
}
