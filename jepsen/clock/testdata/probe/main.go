// SPDX-License-Identifier: Apache-2.0

// Command probe tells its clocks for each line that it reads.
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func main() {
	began := time.Now()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		now := time.Now()
		fmt.Println(now.UnixNano(), int64(time.Since(began)), int64(now.Round(0).Sub(began.Round(0))))
	}
}
