package local

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// portFree reports whether a server can listen on port on this machine's
// loopback addresses.
func portFree(port int) bool {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	// macOS lets one bind 127.0.0.1 beside a server on all addresses, so ask first.
	if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		_ = conn.Close()
		return false
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// needPort returns an error that says what to do when port is taken.
func needPort(port int, variable string) error {
	if portFree(port) {
		return nil
	}
	return fmt.Errorf("port %d is taken; free it or set %s", port, variable)
}

// freePort returns the first free port from preferred on.
func freePort(preferred int, taken ...int) (int, error) {
next:
	for port := preferred; port <= 65535 && port < preferred+100; port++ {
		for _, t := range taken {
			if port == t {
				continue next
			}
		}
		if portFree(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port from %d on", preferred)
}
