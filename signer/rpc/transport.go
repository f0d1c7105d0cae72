package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1/signerv1connect"
)

// ListenConfig says where a module takes calls: on a Unix socket of its host
// or, between hosts, over mutual TLS. Exactly one of Socket and Address is set.
type ListenConfig struct {
	// Socket is the path of the Unix socket.
	Socket string
	// Peers are the users, by name or number, whose processes may call; none
	// means the user that this process runs as.
	Peers []string
	// AuditPeers are the users of the auditors' door, which may record what
	// auditors do and nothing else. None means that there is no such door here,
	// or where Peers has none either, that it runs as the same user.
	AuditPeers []string
	// RegistrarPeers are the users of the registrar's process, which may bring acts
	// of offices and record what officers do, likewise.
	RegistrarPeers []string
	// Group, by name or number, may open the socket's file. Peers of other
	// users need one; whoever else belongs to it is still turned away.
	Group string

	// Address is the host:port for TLS.
	Address string
	// TLS holds the server's certificate and who issues the clients'.
	TLS Files
	// ClientNames are the DNS names of which a client's certificate must have
	// one. AuditNames are those of the auditors' door, RegistrarNames those of the
	// registrar; none means that there is none here.
	ClientNames, AuditNames, RegistrarNames []string

	Logger *slog.Logger
}

// names are all that let a client in.
func (c ListenConfig) names() []string {
	return slices.Concat(c.ClientNames, c.AuditNames, c.RegistrarNames)
}

// Listen begins to take calls. Of a connection that it hands out, the other end
// is known to be allowed in, or will be once the TLS handshake is done.
func Listen(ctx context.Context, c ListenConfig) (net.Listener, error) {
	switch {
	case c.Socket == "" && c.Address == "":
		return nil, errors.New("the signer has nowhere to listen: name a --socket for an api on this host, or --listen-tls for one on another")
	case c.Socket != "" && (c.Address != "" || c.TLS != Files{} || len(c.names()) > 0):
		return nil, errors.New("the signer listens in one place: remove --socket, or else --listen-tls and the --tls settings")
	case c.Address != "" && (len(c.Peers)+len(c.AuditPeers)+len(c.RegistrarPeers) > 0 || c.Group != ""):
		return nil, errors.New("--peer-user, --auditor-user, --registrar-user and --socket-group belong to a --socket: remove them, since --tls-client-name says who may call --listen-tls, --tls-auditor-name and --tls-registrar-name who may record there")
	case c.Socket != "":
		return listenUnix(ctx, c)
	case c.TLS.Certificate == "" || c.TLS.Key == "" || c.TLS.CA == "" || len(c.ClientNames) == 0:
		return nil, errors.New("--listen-tls also needs --tls-certificate, --tls-key, --tls-client-ca and at least one --tls-client-name")
	default:
		return listenTLS(ctx, c)
	}
}

// DialConfig says where the module is. Exactly one of Socket and URL is set.
type DialConfig struct {
	// Socket is the path of its Unix socket.
	Socket string
	// URL is its address for mutual TLS, https://host:port; its certificate
	// must be for that host.
	URL string
	// TLS holds the client's certificate and who issues the server's.
	TLS Files

	Logger *slog.Logger
}

const (
	connectTime = 5 * time.Second
	// maxIdle keeps as many connections of the socket as there are calls at once
	// on a busy host; over TLS, HTTP/2 needs one.
	maxIdle  = 64
	idleTime = time.Minute
)

// Dial makes a client. It connects at the first call.
func Dial(c DialConfig) (*Client, error) {
	switch {
	case c.Socket == "" && c.URL == "":
		return nil, errors.New("the signer's place is unknown: name its --signer-socket on this host, or its --signer-url on another")
	case c.Socket != "" && (c.URL != "" || c.TLS != Files{}):
		return nil, errors.New("the signer is in one place: remove --signer-socket, or else --signer-url and its certificates")
	case c.Socket != "":
		var d net.Dialer
		// The host is a name only: the socket decides where calls go.
		return newClient("http://signer", &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", c.Socket) },
		}), nil
	case c.TLS.Certificate == "" || c.TLS.Key == "" || c.TLS.CA == "":
		return nil, errors.New("--signer-url also needs --signer-ca, --tls-certificate and --tls-key")
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" || u.Port() == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
		return nil, fmt.Errorf("--signer-url %q must be https://HOST:PORT and nothing more", c.URL)
	}
	transport, err := transportTLS(u.Hostname(), c)
	if err != nil {
		return nil, err
	}
	return newClient(c.URL, transport), nil
}

func newClient(base string, transport *http.Transport) *Client {
	transport.MaxIdleConnsPerHost = maxIdle
	transport.IdleConnTimeout = idleTime
	transport.DisableCompression = true
	c := &http.Client{Transport: transport}
	return &Client{
		module:    signerv1connect.NewActivationModuleClient(c, base),
		register:  signerv1connect.NewCitizenRegisterClient(c, base),
		validate:  signerv1connect.NewValidationClient(c, base),
		profile:   signerv1connect.NewCitizenProfileClient(c, base),
		audit:     signerv1connect.NewAuditLogClient(c, base),
		pins:      signerv1connect.NewPinsClient(c, base),
		letters:   signerv1connect.NewLettersClient(c, base),
		cards:     signerv1connect.NewCardsClient(c, base),
		registrar: signerv1connect.NewRegistrarClient(c, base),
		sandbox:   signerv1connect.NewSandboxClient(c, base),
		envelopes: signerv1connect.NewEnvelopesClient(c, base),
		consents:  signerv1connect.NewConsentsClient(c, base),
		explicit:  signerv1connect.NewExplicitClient(c, base),
		http:      c,
		base:      base,
	}
}

// longestCall is more than any call lasts: the longest waits for a place among
// the passwords and then for the token.
const longestCall = 5 * time.Minute

// connectionLife is how long one connection may be used, so that a client whose
// certificate is no longer believed is out after that time.
const connectionLife = 15 * time.Minute

// NewServer serves handler on what Listen returns. The same limits hold on both
// kinds of connection.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return newServer(handler, logger, connectionLife)
}

type begun struct{}

func newServer(handler http.Handler, logger *slog.Logger, life time.Duration) *http.Server {
	handler = admitting(handler, logger)
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if at, ok := r.Context().Value(begun{}).(time.Time); !ok || time.Since(at) > life {
				w.Header().Set("Connection", "close") // of HTTP/2: GOAWAY, calls under way are finished
			}
			handler.ServeHTTP(w, r)
		}),
		BaseContext: withListener,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(withConn(ctx, conn), begun{}, time.Now())
		},
		ReadHeaderTimeout: connectTime, // bounds the TLS handshake, too
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      longestCall,
		IdleTimeout:       2 * idleTime, // longer than the client's: it is the client who closes
		MaxHeaderBytes:    16 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 1000, SendPingTimeout: pingAfter, PingTimeout: connectTime},
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// pingAfter is the silence after which an HTTP/2 connection is asked whether its
// other end is still there.
const pingAfter = 15 * time.Second

func listenTLS(ctx context.Context, c ListenConfig) (net.Listener, error) {
	own, err := openIdentity(c.TLS, c.Logger)
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s (another program may hold the port; name another --listen-tls): %w", c.Address, err)
	}
	return namedListener{calls: c.ClientNames, records: c.AuditNames, registers: c.RegistrarNames, Listener: tls.NewListener(listener, &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) { //nolint:contextcheck // a handshake has its own
			now := own.now(hello.Context())
			return &tls.Config{
				MinVersion:             tls.VersionTLS13,
				Certificates:           []tls.Certificate{now.certificate},
				ClientAuth:             tls.RequireAndVerifyClientCert,
				ClientCAs:              now.authorities,
				NextProtos:             []string{"h2"},
				SessionTicketsDisabled: true, // each connection shows its certificate to the authorities of today
				VerifyConnection:       func(s tls.ConnectionState) error { return checkName(s, c.names()) },
			}, nil
		},
	})}, nil
}

// transportTLS makes a configuration for each connection, so that a new one has
// the certificates of today.
func transportTLS(host string, c DialConfig) (*http.Transport, error) {
	own, err := openIdentity(c.TLS, c.Logger)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connectTime)
			defer cancel()
			now := own.now(ctx)
			d := tls.Dialer{Config: &tls.Config{
				MinVersion: tls.VersionTLS13,
				// Shown even to a server that believes others: its log then says
				// what is wrong.
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &now.certificate, nil },
				RootCAs:              now.authorities,
				ServerName:           host,
				NextProtos:           []string{"h2"},
			}}
			return d.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2: true,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: connectTime},
	}, nil
}
