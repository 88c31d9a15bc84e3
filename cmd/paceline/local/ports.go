package local

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// portFree reports whether a server can listen on port of the loopback address.
func portFree(port int) bool {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	// macOS allows a listener on 127.0.0.1 beside one on all addresses, so dial first.
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

// checkPort returns an error with the remedy if port is taken.
func checkPort(port int, variable string) error {
	if portFree(port) {
		return nil
	}
	return fmt.Errorf("port %d is taken; free it or set %s", port, variable)
}

// freePort returns the first free port at or above preferred that is not in taken.
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
	return 0, fmt.Errorf("no free port at or above %d", preferred)
}
