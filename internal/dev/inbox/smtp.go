package inbox

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// maxMail bounds a mail.
const maxMail = 10 << 20

// ServeSMTP takes mail on l until the returned function is called. It offers
// no TLS and no authentication: it listens on the loopback address.
func (b *Box) ServeSMTP(ctx context.Context, l net.Listener) (stop func()) {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{box: b}, nil
	}))
	server.Domain = "localhost"
	server.MaxMessageBytes = maxMail
	server.MaxRecipients = 50
	server.ReadTimeout = time.Minute
	server.WriteTimeout = time.Minute
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with ErrServerClosed
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		_ = l.Close() // Shutdown knows nothing of a listener that Serve has not reached yet
		<-done
	}
}

type session struct {
	box  *Box
	from string
	to   []string
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	subject, text, err := read(r)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "the message cannot be read"}
	}
	for _, to := range s.to {
		s.box.add(Message{ID: rand.Text(), Kind: "mail", To: to, From: s.from, Subject: subject, Text: text, At: time.Now()})
	}
	return nil
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }

// read takes of a mail what a person would read first: subject and plain text.
func read(r io.Reader) (subject, text string, err error) {
	m, err := mail.ReadMessage(io.LimitReader(r, maxMail))
	if err != nil {
		return "", "", fmt.Errorf("parsing a mail: %w", err)
	}
	subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		subject = m.Header.Get("Subject")
	}
	text, err = plainText(textproto.MIMEHeader(m.Header), m.Body, 0)
	return subject, text, err
}

// plainText returns the first text/plain part, as deep as mails nest.
func plainText(header textproto.MIMEHeader, body io.Reader, depth int) (string, error) {
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045, section 5.2
	}
	if !strings.HasPrefix(kind, "multipart/") || depth > 4 {
		text, err := io.ReadAll(decode(header.Get("Content-Transfer-Encoding"), body))
		if err != nil {
			return "", fmt.Errorf("decoding a mail: %w", err)
		}
		return strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")), nil
	}
	parts := multipart.NewReader(body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("reading the parts of a mail: %w", err)
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || kind == "text/plain" || strings.HasPrefix(kind, "multipart/") {
			return plainText(part.Header, part, depth+1)
		}
	}
}

func decode(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	default:
		return body
	}
}
