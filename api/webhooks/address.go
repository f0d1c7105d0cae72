package webhooks

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// longest is the longest address that is registered.
const longest = 2000

// ParseAddress reads an address to be registered and gives it as it will be
// called: https, a host by its name, nothing that two readers could understand
// differently. In development, loopback may be called, also without TLS.
func ParseAddress(s string, development bool) (string, error) {
	unsuitable := errors.New("a webhook's address is at most 2,000 visible ASCII characters")
	if len(s) > longest || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return "", unsuitable
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("reading a webhook's address: %w", err)
	case u.User != nil:
		return "", errors.New("a webhook's address has no user: what arrives is signed")
	case strings.Contains(s, "#"):
		return "", errors.New("a webhook's address has no fragment")
	case u.Opaque != "" || u.Hostname() == "":
		return "", errors.New("a webhook's address names its host")
	}
	host := strings.ToLower(u.Hostname())
	loopback := host == "localhost" || isLoopback(host)
	if u.Scheme != "https" && (u.Scheme != "http" || !development || !loopback) {
		return "", errors.New("a webhook's address begins with https://")
	}
	if err := checkHost(host); err != nil && (!development || !loopback) {
		return "", err
	}
	if _, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && err != nil {
		return "", errors.New("a webhook's address has a port that is one")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Host = strings.ToLower(u.Host)
	if s = u.String(); len(s) > longest { // what had to be escaped has grown
		return "", unsuitable
	}
	return s, nil
}

// checkHost takes names of the public Internet alone. What they resolve to is
// looked at when they are called; this spares whoever registers one the wait.
func checkHost(host string) error {
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	switch {
	case strings.ContainsAny(host, ":%"), numeric(last):
		// The WHATWG's rule: what ends in a number is an IPv4 address, and there are
		// resolvers that read 2130706433 and 0x7f.1 as one.
		return errors.New("a webhook's host is a name, not an address")
	case len(labels) < 2:
		return errors.New("a webhook's host is a full name")
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return fmt.Errorf("%q is no name of a host (names beyond ASCII are written as xn--…)", host)
		}
	}
	// RFC 6761, RFC 6762, RFC 8375, and what ICANN has set aside for inside.
	for _, inside := range []string{"localhost", "local", "internal", "home.arpa", "invalid", "test", "example", "onion"} {
		if host == inside || strings.HasSuffix(host, "."+inside) {
			return fmt.Errorf("names under %s are not of the public Internet", inside)
		}
	}
	return nil
}

func numeric(label string) bool {
	hex, prefixed := strings.CutPrefix(label, "0x")
	return strings.Trim(label, "0123456789") == "" || prefixed && strings.Trim(hex, "0123456789abcdef") == ""
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
