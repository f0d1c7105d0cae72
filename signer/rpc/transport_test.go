package rpc_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/signer/rpc"
)

func TestListenSaysWhatToChange(t *testing.T) {
	t.Parallel()
	files := rpc.Files{Certificate: "c.pem", Key: "k.pem", CA: "ca.pem"}
	other := strconv.Itoa(os.Geteuid() + 1)
	for name, test := range map[string]struct {
		config rpc.ListenConfig
		says   string
	}{
		"nowhere":               {rpc.ListenConfig{}, "name a --socket"},
		"both":                  {rpc.ListenConfig{Socket: "s", Address: "127.0.0.1:0", TLS: files, ClientNames: []string{"api"}}, "remove --socket"},
		"socket with a key":     {rpc.ListenConfig{Socket: "s", TLS: rpc.Files{Key: "k.pem"}}, "remove --socket"},
		"socket with a name":    {rpc.ListenConfig{Socket: "s", ClientNames: []string{"api"}}, "remove --socket"},
		"TLS with users":        {rpc.ListenConfig{Address: "127.0.0.1:0", TLS: files, ClientNames: []string{"api"}, Peers: []string{"0"}}, "--tls-client-name says who"},
		"TLS with a group":      {rpc.ListenConfig{Address: "127.0.0.1:0", TLS: files, ClientNames: []string{"api"}, Group: "0"}, "--tls-client-name says who"},
		"TLS without an issuer": {rpc.ListenConfig{Address: "127.0.0.1:0", TLS: rpc.Files{Certificate: "c", Key: "k"}, ClientNames: []string{"api"}}, "--tls-client-ca"},
		"TLS for anybody":       {rpc.ListenConfig{Address: "127.0.0.1:0", TLS: files}, "--tls-client-name"},
		"TLS without files":     {rpc.ListenConfig{Address: "127.0.0.1:0", TLS: files, ClientNames: []string{"api"}}, "c.pem"},
		"another user":          {rpc.ListenConfig{Socket: "s", Peers: []string{other}}, "name a --socket-group"},
		"no such user":          {rpc.ListenConfig{Socket: "s", Peers: []string{"no-such-user"}}, "no-such-user"},
		"no such group":         {rpc.ListenConfig{Socket: "s", Peers: []string{other}, Group: "no-such-group"}, "no-such-group"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.config.Logger = slog.New(slog.DiscardHandler)
			listener, err := rpc.Listen(t.Context(), test.config)
			if err == nil {
				_ = listener.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want it to say %q", err, test.says)
			}
		})
	}
}

func TestDialSaysWhatToChange(t *testing.T) {
	t.Parallel()
	files := rpc.Files{Certificate: "c.pem", Key: "k.pem", CA: "ca.pem"}
	for name, test := range map[string]struct {
		config rpc.DialConfig
		says   string
	}{
		"nowhere":             {rpc.DialConfig{}, "--signer-socket"},
		"both":                {rpc.DialConfig{Socket: "s", URL: "https://signer:1"}, "remove --signer-socket"},
		"socket with a key":   {rpc.DialConfig{Socket: "s", TLS: rpc.Files{Key: "k.pem"}}, "remove --signer-socket"},
		"no issuer":           {rpc.DialConfig{URL: "https://signer:1", TLS: rpc.Files{Certificate: "c", Key: "k"}}, "--signer-ca"},
		"without TLS":         {rpc.DialConfig{URL: "http://signer:1", TLS: files}, "https://HOST:PORT"},
		"without a port":      {rpc.DialConfig{URL: "https://signer", TLS: files}, "https://HOST:PORT"},
		"with a path":         {rpc.DialConfig{URL: "https://signer:1/x", TLS: files}, "https://HOST:PORT"},
		"with a password":     {rpc.DialConfig{URL: "https://a:b@signer:1", TLS: files}, "https://HOST:PORT"},
		"files that are none": {rpc.DialConfig{URL: "https://signer:1", TLS: files}, "c.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.config.Logger = slog.New(slog.DiscardHandler)
			if _, err := rpc.Dial(test.config); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want it to say %q", err, test.says)
			}
		})
	}
}

// TestSocketAsksWhoCalls calls as this very user, who is allowed or is not.
func TestSocketAsksWhoCalls(t *testing.T) {
	t.Parallel()
	own, other, group := strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Geteuid()+1), strconv.Itoa(os.Getegid())
	for name, test := range map[string]struct {
		peers []string
		group string
		mode  os.FileMode
		in    bool
	}{
		"own user by default": {nil, "", 0o600, true},
		"own user":            {[]string{own}, "", 0o600, true},
		"one of two":          {[]string{other, own}, group, 0o660, true},
		"another":             {[]string{other}, group, 0o660, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &logbook{}
			socket := filepath.Join(t.TempDir(), "s")
			serve(t, rpc.ListenConfig{Socket: socket, Peers: test.peers, Group: test.group, Logger: log.logger()}, time.Hour)
			info, err := os.Stat(socket)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != test.mode {
				t.Errorf("got mode %o, want %o", got, test.mode)
			}
			err = dial(t, rpc.DialConfig{Socket: socket}).Healthy(t.Context())
			if in := err == nil; in != test.in {
				t.Errorf("got %v, want an answer: %v", err, test.in)
			}
			want := []map[string]any(nil)
			if !test.in {
				want = []map[string]any{{"level": "WARN", "msg": "peer_refused", "uid": float64(os.Geteuid()), "pid": float64(os.Getpid())}}
			}
			// The client may try again on another connection.
			got := log.records(t)
			if diff := cmp.Diff(want, got[:min(1, len(got))]); diff != "" && (len(want) > 0 || len(got) > 0) {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSocketIsTakenOver(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	config := rpc.ListenConfig{Socket: socket, Logger: slog.New(slog.DiscardHandler)}
	serve(t, config, time.Hour)
	if err := dial(t, rpc.DialConfig{Socket: socket}).Healthy(t.Context()); err != nil {
		t.Errorf("got %v after taking a dead socket over", err)
	}
	if _, err := rpc.Listen(t.Context(), config); err == nil || !strings.Contains(err.Error(), "another signer") {
		t.Errorf("got %v, want another signer to be in the way", err)
	}
}

// TestTLSAsksWhoCalls varies each side's certificate. What is wrong with it is
// told at the other side: by the client's error or in the server's log.
func TestTLSAsksWhoCalls(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	server := leaf{names: []string{"signer.example", "localhost"}, usage: x509.ExtKeyUsageServerAuth}
	client := leaf{names: []string{"other.example", "API.example"}, usage: x509.ExtKeyUsageClientAuth}
	for name, test := range map[string]struct {
		server, client         leaf
		serverFrom, clientFrom *authority // nil is ours
		says                   string     // "" is an answer
	}{
		"as agreed":                 {server: server, client: client},
		"client of others":          {server: server, client: client, clientFrom: theirs, says: "unknown authority"},
		"client of another name":    {server: server, client: leaf{names: []string{"web.example"}, usage: client.usage}, says: "none of the names"},
		"client without a name":     {server: server, client: leaf{usage: client.usage}, says: "none of the names"},
		"client with a wildcard":    {server: server, client: leaf{names: []string{"*.example"}, usage: client.usage}, says: "none of the names"},
		"client too old":            {server: server, client: leaf{names: client.names, usage: client.usage, until: -time.Minute}, says: "expired"},
		"client that is a server":   {server: server, client: leaf{names: client.names, usage: server.usage}, says: "key usage"},
		"server of others":          {server: server, client: client, serverFrom: theirs, says: "unknown authority"},
		"server of another name":    {server: leaf{names: []string{"signer.example"}, usage: server.usage}, client: client, says: "not localhost"},
		"server too old":            {server: leaf{names: server.names, usage: server.usage, until: -time.Minute}, client: client, says: "expired"},
		"server that is a client":   {server: leaf{names: server.names, usage: client.usage}, client: client, says: "key usage"},
		"server that is the client": {server: client, client: client, says: "localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here, there := newFiles(t), newFiles(t)
			issuer := func(a *authority) *authority {
				if a == nil {
					return ours
				}
				return a
			}
			issuer(test.serverFrom).certify(t, here, test.server)
			issuer(test.clientFrom).certify(t, there, test.client)
			ours.trust(t, here)
			ours.trust(t, there)
			log := &logbook{}
			address := serve(t, rpc.ListenConfig{Address: "127.0.0.1:0", TLS: here, ClientNames: []string{"api.example"}, Logger: log.logger()}, time.Hour)
			err := dial(t, rpc.DialConfig{URL: overTLS(t, address), TLS: there}).Healthy(t.Context())
			switch {
			case test.says == "" && err != nil:
				t.Errorf("got %v, want an answer", err)
			case test.says != "" && err == nil:
				t.Errorf("got an answer, want %q", test.says)
			case test.says != "" && !strings.Contains(err.Error(), test.says):
				log.awaits(t, test.says)
			}
		})
	}
}

// TestTLSRefusesLess meets clients that are not ours.
func TestTLSRefusesLess(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	here := newFiles(t)
	ours.certify(t, here, leaf{names: []string{"localhost"}, usage: x509.ExtKeyUsageServerAuth})
	ours.trust(t, here)
	mine := newFiles(t)
	ours.certify(t, mine, leaf{names: []string{"api"}, usage: x509.ExtKeyUsageClientAuth})
	pair, err := tls.LoadX509KeyPair(mine.Certificate, mine.Key)
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, rpc.ListenConfig{Address: "127.0.0.1:0", TLS: here, ClientNames: []string{"api"}, Logger: slog.New(slog.DiscardHandler)}, time.Hour)
	for name, test := range map[string]struct {
		config *tls.Config
		says   string
	}{
		"as agreed":      {&tls.Config{Certificates: []tls.Certificate{pair}}, ""},
		"no certificate": {&tls.Config{}, "certificate required"},
		"TLS 1.2":        {&tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12}, "protocol version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.config.RootCAs, test.config.ServerName, test.config.NextProtos = ours.pool(), "localhost", []string{"h2"}
			d := tls.Dialer{Config: test.config}
			conn, err := d.DialContext(t.Context(), "tcp", address)
			if err == nil {
				// With TLS 1.3 the server's opinion of the client comes after the handshake.
				_, err = conn.Read(make([]byte, 1))
				_ = conn.Close()
			}
			switch {
			case test.says == "" && err != nil:
				t.Errorf("got %v, want an answer", err)
			case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
				t.Errorf("got %v, want it to say %q", err, test.says)
			}
		})
	}
}

// TestTLSFilesAreReadAgain replaces all files under way, one after the other.
func TestTLSFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	before, after := newAuthority(t), newAuthority(t)
	here, there := newFiles(t), newFiles(t)
	server := leaf{names: []string{"localhost"}, usage: x509.ExtKeyUsageServerAuth}
	client := leaf{names: []string{"api"}, usage: x509.ExtKeyUsageClientAuth}
	before.certify(t, here, server)
	before.certify(t, there, client)
	before.trust(t, here)
	before.trust(t, there)
	log := &logbook{}
	// Each connection serves one call.
	address := serve(t, rpc.ListenConfig{Address: "127.0.0.1:0", TLS: here, ClientNames: []string{"api"}, Logger: log.logger()}, 0)
	c := dial(t, rpc.DialConfig{URL: overTLS(t, address), TLS: there})
	check := func(step string, want bool) {
		t.Helper()
		// The server's farewell to the connection before may still be on its way.
		var err error
		for range 50 {
			if err = c.Healthy(t.Context()); (err == nil) == want {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%s: got %v, want an answer: %v", step, err, want)
	}
	check("at first", true)
	before.trust(t, here, after)
	before.trust(t, there, after)
	check("both believe both", true)
	after.certify(t, here, server)
	check("the server has moved", true)
	after.certify(t, there, client)
	check("the client has moved", true)
	after.trust(t, there)
	after.trust(t, here)
	check("both have moved", true)

	if err := os.WriteFile(here.Key, []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("the server's key is damaged", true)
	if got := log.last(t)["msg"]; got != "tls_files_not_in_order" {
		t.Errorf("got %q in the log, want tls_files_not_in_order", got)
	}
	after.certify(t, here, server)
	before.trust(t, here)
	check("the server believes the client no longer", false)
}

// serve answers /healthz where config says until the test ends.
func serve(t *testing.T, config rpc.ListenConfig, life time.Duration) (address string) {
	t.Helper()
	listener, err := rpc.Listen(t.Context(), config)
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if secured := r.TLS != nil; secured != (config.Address != "") || secured && r.ProtoMajor != 2 {
			panic(http.ErrAbortHandler) // the client will say that it got no answer
		}
		w.WriteHeader(http.StatusNoContent)
	})
	server := rpc.NewServerFor(handler, config.Logger, life)
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving: %v", err)
		}
	})
	return listener.Addr().String()
}

func dial(t *testing.T, config rpc.DialConfig) *rpc.Client {
	t.Helper()
	config.Logger = slog.New(slog.DiscardHandler)
	c, err := rpc.Dial(config)
	if err != nil {
		t.Fatalf("dialling: %v", err)
	}
	return c
}

func overTLS(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return "https://localhost:" + port
}

// logbook keeps what is logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logbook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// awaits text that is written a moment after the client has learnt that it is
// turned away.
func (b *logbook) awaits(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(b.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got in the log %s, want it to say %q", b, text)
		}
	}
}

func (b *logbook) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func (b *logbook) records(t *testing.T) (all []map[string]any) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(b.String())); ; {
		var record map[string]any
		if err := d.Decode(&record); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, record)
	}
}

func (b *logbook) last(t *testing.T) map[string]any {
	t.Helper()
	all := b.records(t)
	if len(all) == 0 {
		t.Fatal("got nothing in the log")
	}
	return all[len(all)-1]
}

// authority issues certificates for one side or both.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// leaf is a certificate to be; until is from now, 0 for an hour.
type leaf struct {
	names []string
	usage x509.ExtKeyUsage
	until time.Duration
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: rand.Text()}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate = a.sign(t, template, template, a.key)
	return a
}

func (a *authority) sign(t *testing.T, template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// certify fills certificate and key.
func (a *authority) certify(t *testing.T, files rpc.Files, l leaf) {
	t.Helper()
	if l.until == 0 {
		l.until = time.Hour
	}
	key := newKey(t)
	c := a.sign(t, &x509.Certificate{
		SerialNumber: serial(t), DNSNames: l.names, ExtKeyUsage: []x509.ExtKeyUsage{l.usage},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(l.until),
	}, a.certificate, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, files.Key, "PRIVATE KEY", der)
	writePEM(t, files.Certificate, "CERTIFICATE", c.Raw)
}

// trust fills the authorities.
func (a *authority) trust(t *testing.T, files rpc.Files, more ...*authority) {
	t.Helper()
	all := [][]byte{a.certificate.Raw}
	for _, m := range more {
		all = append(all, m.certificate.Raw)
	}
	writePEM(t, files.CA, "CERTIFICATE", all...)
}

func writePEM(t *testing.T, path, kind string, blocks ...[]byte) {
	t.Helper()
	var text []byte
	for _, der := range blocks {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func newFiles(t *testing.T) rpc.Files {
	t.Helper()
	dir := t.TempDir()
	return rpc.Files{Certificate: filepath.Join(dir, "certificate.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem")}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t *testing.T) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
