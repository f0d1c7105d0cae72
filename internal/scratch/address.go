package scratch

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"
)

// Ports below those from which the kernel takes one for a client
// (net.ipv4.ip_local_port_range): between two starts nobody comes by them. Each
// process begins at a place of its own, and takes stride of them before it
// comes to the next one's.
const firstPort, ports, stride = 10000, 20000, 100

var handedOut atomic.Int64 // so that tests that run at a time never get the same port

// Address is one of this machine, host and port, on which nothing listens: for
// a program that is told where to listen, and is started there again.
func Address() (string, error) {
	var config net.ListenConfig
	for tries := 1; ; tries++ {
		port := firstPort + (stride*int64(os.Getpid())+handedOut.Add(1))%ports
		l, err := config.Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
		if tries == stride {
			return "", fmt.Errorf("looking for a free port: %w", err)
		}
	}
}
