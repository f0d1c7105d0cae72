package notify_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/signer"
)

// relay is a mail server that takes letters over TLS from one account alone.
type relay struct{ letters chan string }

type relaySession struct {
	*relay
	known bool
}

var errUnknown = &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "unknown"}

func (s *relaySession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *relaySession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.known = user == "rubrica" && password == "secret"; !s.known {
			return errUnknown
		}
		return nil
	}), nil
}

func (s *relaySession) Mail(string, *smtp.MailOptions) error {
	if !s.known {
		return errUnknown
	}
	return nil
}

func (s *relaySession) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (s *relaySession) Data(r io.Reader) error {
	letter, err := io.ReadAll(r)
	s.letters <- string(letter)
	return err
}

func (s *relaySession) Reset()        {}
func (s *relaySession) Logout() error { return nil }

// newRelay starts a relay with a certificate, and says who vouches for it.
func newRelay(t *testing.T) (*relay, notify.SMTP) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{letters: make(chan string, 1)}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &relaySession{relay: r}, nil }))
	server.Domain = "localhost"
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		_ = l.Close() // Close knows nothing of a listener that Serve has not reached yet
		if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("the relay ended with %v", err)
		}
	})
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("got address %v, want one of TCP", l.Addr())
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return r, notify.SMTP{Host: "127.0.0.1", Port: address.Port, From: "firma@example.es", User: "rubrica", Password: []byte("secret"), Authorities: pool}
}

// Letters go over TLS, to a relay that somebody vouches for, under an account;
// else nothing is sent.
func TestMailerOverTLS(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*notify.SMTP)
		sent   bool
	}{
		{"with everything", func(*notify.SMTP) {}, true},
		{"an authority that nobody knows", func(s *notify.SMTP) { s.Authorities = x509.NewCertPool() }, false},
		{"the system's authorities", func(s *notify.SMTP) { s.Authorities = nil }, false},
		{"another name", func(s *notify.SMTP) { s.Host = "localhost" }, false},
		{"a wrong password", func(s *notify.SMTP) { s.Password = []byte("other") }, false},
		{"no account", func(s *notify.SMTP) { s.User = "" }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, account := newRelay(t)
			test.change(&account)
			mailer := &notify.Mailer{
				Catalogue: sentences(t), Records: maria(), Service: "Rúbrica", PublicURL: "https://firma.example.es", SMTP: account,
				Now: func() time.Time { return noon },
			}
			err := mailer.Deliver(t.Context(), signer.Notice{Kind: "activated", CitizenID: "maria"})
			if (err == nil) != test.sent {
				t.Fatalf("Deliver: got %v, want sent %t", err, test.sent)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the password: %v", err)
			}
			var letter string
			select {
			case letter = <-server.letters:
			default:
				if test.sent {
					t.Error("no letter has arrived")
				}
			}
			if strings.Contains(letter, "To: <maria@example.es>") != test.sent {
				t.Errorf("got the letter %q", letter)
			}
		})
	}
}
