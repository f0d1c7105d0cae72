package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
)

// SMTP is the mail server and what it is told.
type SMTP struct {
	Host     string
	Port     int
	From     string
	User     string // empty for a server that asks for nothing
	Password []byte
	// Authorities vouch for the server; nil: the system's.
	Authorities *x509.CertPool
	// Plain sends without TLS; only a development configuration may say so.
	Plain bool
}

// send hands a letter to the mail server, once.
func (s SMTP) send(ctx context.Context, to string, letter catalogue.Mail) error {
	message := mail.NewMsg()
	if err := message.From(s.From); err != nil {
		return fmt.Errorf("addressing a letter: %w", err)
	}
	if err := message.To(to); err != nil {
		return fmt.Errorf("addressing a letter: %w", err)
	}
	message.Subject(letter.Subject)
	message.SetBodyString(mail.TypeTextPlain, letter.Body)

	options := []mail.Option{mail.WithPort(s.Port), mail.WithTLSPolicy(mail.TLSMandatory), mail.WithTimeout(15 * time.Second)}
	if s.Authorities != nil {
		options = append(options, mail.WithTLSConfig(&tls.Config{RootCAs: s.Authorities, ServerName: s.Host, MinVersion: tls.VersionTLS12}))
	}
	if s.Plain {
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if s.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.User), mail.WithPassword(string(s.Password)))
	}
	client, err := mail.NewClient(s.Host, options...)
	if err != nil {
		return fmt.Errorf("preparing the mail client: %w", err)
	}
	if err := client.DialAndSendWithContext(ctx, message); err != nil {
		return fmt.Errorf("handing a letter over: %w", err)
	}
	return nil
}
