package augment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/rubrica-firma/rubrica/internal/cputest"
)

// loopback is where servers of tests are.
func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }

func newWeb(tb testing.TB, c WebConfig) *Web {
	tb.Helper()
	w, err := NewWeb(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.client.CloseIdleConnections)
	return w
}

// serve answers at an address that says its host.
func serve(tb testing.TB, handler http.HandlerFunc) (server *httptest.Server, host string) {
	tb.Helper()
	server = httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return server, strings.TrimPrefix(server.URL, "http://")
}

// say writes to a client that may have gone.
func say(w io.Writer, content []byte) {
	w.Write(content) //nolint:errcheck // then nobody is harmed
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8": true, "193.110.128.200": true, "2606:4700::1111": true, "2a02:26f0::1": true,
		"127.0.0.1": false, "127.1.2.3": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "192.0.0.192": false,
		"198.18.0.1": false, "192.0.2.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "fec0::1": false,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false, "2001:db8::1": false, "::7f00:1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}

// TestForbiddenAddresses: nobody is reached whom the configuration does not
// name, or who is inside although it does.
func TestForbiddenAddresses(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	_, host := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	inside := []string{
		"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "2130706433", "0x7f000001", "017700000001", "127.1", "0",
		"[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[::ffff:169.254.169.254]", "169.254.169.254", "10.0.0.1", "192.168.0.1",
	}
	named := make([]string, 0, 2*len(inside))
	for _, h := range inside {
		named = append(named, h, h+":"+port)
	}
	w := newWeb(t, WebConfig{Hosts: append(named, "tsa.example"), Timeout: time.Second})
	for _, h := range inside {
		if _, err := w.Get(t.Context(), "http://"+h+":"+port+"/", 10); err == nil {
			t.Errorf("%s was reached", h)
		}
	}
	strict := newWeb(t, WebConfig{Hosts: []string{"tsa.example"}, Networks: loopback(), Timeout: time.Second})
	for _, address := range []string{
		"http://" + host + "/", "http://tsa.example@" + host + "/", "http://" + host + "#@tsa.example/", "http://" + host + "?tsa.example",
		`http://` + host + `\@tsa.example/`, "http://tsa.example:" + port + "/", "http://tsa.example." + host + "/", "//" + host, host, "",
		"file:///etc/passwd", "ldap://tsa.example/cn=x", "ftp://tsa.example/", "gopher://tsa.example/", "http:tsa.example", "http://user@tsa.example/",
		"HTTP://" + host, "http://xtsa.example/", "http://tsa.example%00.evil/", "http://tsa.example\r\nX: y/",
	} {
		if _, err := strict.Get(t.Context(), address, 10); !errors.Is(err, ErrForbidden) {
			t.Errorf("%q: got %v, want %v", address, err, ErrForbidden)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the server inside was reached %d times", n)
	}
	for _, host := range []string{"", "http://tsa.example", "tsa.example/tsa", "user@tsa.example", "a b"} {
		if _, err := NewWeb(WebConfig{Hosts: []string{host}}); err == nil {
			t.Errorf("%q is taken for the name of a host", host)
		}
	}
}

// names is a resolver that is told what to answer, in turn: the last for ever.
func names(tb testing.TB, turns ...[]string) *net.Resolver {
	tb.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := socket.Close(); err != nil {
			tb.Error(err)
		}
	})
	go func() {
		turn := 0
		for buffer := make([]byte, 4096); ; {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response = true
			m.Additionals = nil
			q := m.Questions[0]
			if q.Type == dnsmessage.TypeA {
				for _, address := range turns[min(turn, len(turns)-1)] {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
						Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
					})
				}
				turn++
			}
			if packed, err := m.Pack(); err == nil {
				socket.WriteTo(packed, from) //nolint:errcheck // the asker will ask again
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

// TestRebinding: a name that leads outside when it is looked at, and inside when
// it is used, is refused when it is used.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	_, host := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.Header().Set("Connection", "close")
		say(w, []byte("sellado"))
	})
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	address := "http://tsa.example:" + port + "/"
	for _, inside := range []string{"169.254.169.254", "10.1.2.3", "192.168.0.1", "0.0.0.0", "127.0.0.2"} {
		w := newWeb(t, WebConfig{
			Hosts: []string{"tsa.example:" + port}, Networks: loopback(), Timeout: 2 * time.Second,
			Resolver: names(t, []string{"127.0.0.1"}, []string{inside}),
		})
		before := reached.Load()
		if got, err := w.Get(t.Context(), address, 10); err != nil || string(got) != "sellado" {
			t.Errorf("got %q, %v, want what is there", got, err)
		}
		if got, err := w.Get(t.Context(), address, 10); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: got %q, %v, want %v", inside, got, err, ErrForbidden)
		}
		if got := reached.Load() - before; got != 1 {
			t.Errorf("%s: the server was reached %d times, want 1", inside, got)
		}
	}
	w := newWeb(t, WebConfig{Hosts: []string{"tsa.example:" + port}, Timeout: 2 * time.Second, Resolver: names(t, []string{"127.0.0.1", "169.254.169.254"})})
	if got, err := w.Get(t.Context(), address, 10); !errors.Is(err, ErrForbidden) {
		t.Errorf("got %q, %v, want %v", got, err, ErrForbidden)
	}
}

// TestHostileServers: whatever a server does, the exchange ends soon, and takes
// no more memory than it may.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	elsewhere, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { say(w, []byte("redirected")) })
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for block := make([]byte, 32<<10); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    error
	}{
		"redirect":      {http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, ErrStatus},
		"redirect, 308": {http.RedirectHandler(elsewhere.URL, http.StatusPermanentRedirect).ServeHTTP, ErrStatus},
		"failure":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, ErrStatus},
		"no content":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, ErrStatus},
		"1 GB": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(1<<30))
			endless(w, r)
		}, ErrTooLong},
		"no end": {endless, ErrTooLong},
		"one octet too many": {func(w http.ResponseWriter, _ *http.Request) {
			say(w, make([]byte, 1001))
			w.(http.Flusher).Flush() //nolint:errcheck // it is one
		}, ErrTooLong},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, nil},
		"never":       {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, context.DeadlineExceeded},
		"an octet now and then": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				say(w, []byte{0})
				w.(http.Flusher).Flush() //nolint:errcheck // it is one
				time.Sleep(20 * time.Millisecond)
			}
		}, context.DeadlineExceeded},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, host := serve(t, tc.handler)
			w := newWeb(t, WebConfig{Hosts: []string{host}, Networks: loopback(), Timeout: 500 * time.Millisecond})
			awake := cputest.Awake(t)
			got, err := w.Get(t.Context(), server.URL, 1000)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got %d octets, %v, want %v", len(got), err, tc.want)
			}
			if took := awake(); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	server, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" || len(r.Cookies()) > 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
		say(w, make([]byte, 1000))
	})
	w := newWeb(t, WebConfig{Hosts: []string{host}, Networks: loopback()})
	if got, err := w.Get(t.Context(), server.URL, 1000); err != nil || len(got) != 1000 {
		t.Errorf("got %d octets, %v, want just as many as may be", len(got), err)
	}
}
