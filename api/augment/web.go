package augment

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

var (
	// ErrForbidden is an address that is not to be reached: the host is not one
	// that the configuration names, or it is inside.
	ErrForbidden = errors.New("address not allowed")
	// ErrTooLong is an answer longer than anything that could be right.
	ErrTooLong = errors.New("answer too long")
	// ErrStatus is an answer that HTTP says is none. A redirect is one of them.
	ErrStatus = errors.New("no answer")
)

// Patience is how long an exchange with one host may take in all, unless a
// configuration says otherwise.
const Patience = 5 * time.Second

// WebConfig says whom a Web may talk to.
type WebConfig struct {
	// Hosts may be reached, and no others, whatever a certificate names: as they
	// stand in addresses, with a port if it is not that of the scheme.
	Hosts []string
	// Networks are those that are not public and where a host may be found all
	// the same, such as 10.1.0.0/16.
	Networks []netip.Prefix
	// Timeout bounds one exchange, all of it; zero is Patience.
	Timeout time.Duration
	// Resolver is the system's if it is nil.
	Resolver *net.Resolver
}

// Web reaches hosts outside. Addresses in certificates are written by strangers:
// only hosts that were named are reached, only over http and https, and only if
// the address that is connected to, after all that names and resolvers can do,
// is a public one or in a network that was named. It follows no redirects, uses
// no proxy, and reads no more than it was told to.
type Web struct {
	hosts    map[string]bool
	networks []netip.Prefix
	client   *http.Client
}

// NewWeb makes a Web.
func NewWeb(c WebConfig) (*Web, error) {
	w := &Web{hosts: map[string]bool{}, networks: c.Networks}
	for _, host := range c.Hosts {
		u, err := url.Parse("//" + host)
		if err != nil || u.Hostname() == "" || u.Host != host {
			return nil, fmt.Errorf("%q is not the name of a host, or one with its port", host)
		}
		w.hosts[canonical(u.Hostname(), u.Port())] = true
	}
	timeout := cmp.Or(c.Timeout, Patience)
	dialer := &net.Dialer{Timeout: timeout, Resolver: c.Resolver, ControlContext: w.control}
	w.client = &http.Client{
		Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    timeout,
			ResponseHeaderTimeout:  timeout,
			IdleConnTimeout:        30 * time.Second,
			MaxIdleConnsPerHost:    4,
			MaxConnsPerHost:        32,
			MaxResponseHeaderBytes: 16 << 10,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}
	return w, nil
}

// canonical is a host with its port; the ports of http and https go without.
func canonical(host, port string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if port == "" || port == "80" || port == "443" {
		return host
	}
	return net.JoinHostPort(host, port)
}

// Get fetches a file of at most limit octets.
func (w *Web) Get(ctx context.Context, address string, limit int64) ([]byte, error) {
	return w.exchange(ctx, exchange{method: http.MethodGet, address: address, limit: limit})
}

// Question is what is posted.
type Question struct {
	Type, Accept string // media types
	Body         []byte
}

// Post sends a question and reads an answer of at most limit octets.
func (w *Web) Post(ctx context.Context, address string, q Question, limit int64) ([]byte, error) {
	return w.exchange(ctx, exchange{method: http.MethodPost, address: address, limit: limit, question: q})
}

type exchange struct {
	method, address string
	question        Question
	limit           int64
}

func (w *Web) exchange(ctx context.Context, e exchange) ([]byte, error) {
	if err := w.allowed(e.address); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, e.method, e.address, bytes.NewReader(e.question.Body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	request.Header.Set("User-Agent", "Rubrica")
	if e.question.Type != "" {
		request.Header.Set("Content-Type", e.question.Type)
		request.Header.Set("Accept", e.question.Accept)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", request.URL.Host, err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s says %s", ErrStatus, request.URL.Host, response.Status)
	}
	if response.ContentLength > e.limit {
		return nil, fmt.Errorf("%w: %s sends %d octets", ErrTooLong, request.URL.Host, response.ContentLength)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, e.limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading from %s: %w", request.URL.Host, err)
	}
	if int64(len(answer)) > e.limit {
		return nil, fmt.Errorf("%w: %s sends more than %d octets", ErrTooLong, request.URL.Host, e.limit)
	}
	return answer, nil
}

// allowed says whether the configuration names the host of an address.
func (w *Web) allowed(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Opaque != "" || !w.hosts[canonical(u.Hostname(), u.Port())] {
		return fmt.Errorf("%w: %s://%s", ErrForbidden, u.Scheme, u.Host)
	}
	return nil
}

// control sees the address that is about to be connected to, when no resolver
// can change it any more.
func (w *Web) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	peer, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	ip := peer.Addr().Unmap().WithZone("")
	for _, network := range w.networks {
		if network.Contains(ip) {
			return nil
		}
	}
	if !public(ip) {
		return fmt.Errorf("%w: %s is not a public address, nor in a network that was named (--network, evidence-network)", ErrForbidden, ip)
	}
	return nil
}

// public is whether an address is one of the Internet's own: not of a special
// purpose (IANA's registries, RFC 6890), and none that carries another inside,
// through which a gateway would lead back.
func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, special := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		if netip.MustParsePrefix(special).Contains(ip) {
			return false
		}
	}
	return true
}
