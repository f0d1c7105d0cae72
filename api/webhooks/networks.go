package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ErrForbidden means that a host's name resolved to where nobody outside may
// send this process.
var ErrForbidden = errors.New("the host resolves to an address that is not of the public Internet")

// Networks decides whom may be called by address. Names are no matter: it is
// asked about each connection after its name has been resolved, so that a name
// that resolves to something else the second time gains nothing.
type Networks struct {
	forbidden []netip.Prefix
	global    netip.Prefix // of IPv6
	loopback  bool
}

// NewNetworks allows the public Internet, and in development loopback.
func NewNetworks(development bool) *Networks {
	n := &Networks{global: netip.MustParsePrefix("2000::/3"), loopback: development}
	for _, p := range []string{
		// The IANA IPv4 Special-Purpose Address Registry (RFC 6890), all of it.
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24",
		"224.0.0.0/4", // multicast
		"240.0.0.0/4", // reserved, and broadcast
		// A cloud's own services at a public address.
		"168.63.129.16/32",
		// Of IPv6, what of 2000::/3 is special: Teredo (which holds an IPv4 address)
		// and the rest of 2001::/23, documentation, 6to4 (which holds one too).
		"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
	} {
		n.forbidden = append(n.forbidden, netip.MustParsePrefix(p))
	}
	return n
}

// Allows is whether an address may be called. Of IPv6 that is global unicast
// (RFC 4291, section 2.4), which leaves out loopback, link-local, unique local,
// site-local and multicast addresses and the forms that hold an IPv4 address:
// mapped, compatible, translated (NAT64, RFC 6052).
func (n *Networks) Allows(addr netip.Addr) bool {
	if n.loopback && addr.Unmap().IsLoopback() {
		return true
	}
	if addr.Is4In6() || addr.Zone() != "" || addr.Is6() && (!n.global.Contains(addr) || isISATAP(addr)) {
		return false
	}
	for _, p := range n.forbidden {
		if p.Contains(addr) {
			return false
		}
	}
	return addr.IsValid()
}

// isISATAP is whether an address ends in an IPv4 one that a host may be
// configured to tunnel to (RFC 5214, section 6.1).
func isISATAP(addr netip.Addr) bool {
	b := addr.As16()
	return b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// control is net.Dialer's, called between resolution and connection.
func (n *Networks) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" || at.Port() == 0 || !n.Allows(at.Addr()) {
		return fmt.Errorf("calling %s: %w", network, ErrForbidden) // where it is remains here
	}
	return nil
}

// Dialer connects to whom it may.
func (n *Networks) dialer() *net.Dialer {
	return &net.Dialer{Timeout: patience, ControlContext: n.control}
}
