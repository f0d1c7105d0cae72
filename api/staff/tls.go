package staff

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// Files name what the door's listener needs, as PEM. They are read again for
// each handshake: who replaces them needs no restart.
type Files struct {
	// Certificate is the door's chain, its own certificate first; Key is its key.
	Certificate, Key string
	// ClientCA holds the authorities whose client certificates are believed. Empty:
	// none are asked for.
	ClientCA string
}

// Papers are what Files held when they were last in order.
type Papers struct {
	files  Files
	logger *slog.Logger

	mu          sync.Mutex
	read        [sha256.Size]byte // of the files' content
	certificate tls.Certificate
	authorities *x509.CertPool // nil without ClientCA
}

// OpenPapers reads the files.
func OpenPapers(files Files, logger *slog.Logger) (*Papers, error) {
	p := &Papers{files: files, logger: logger}
	return p, p.refresh()
}

// Authorities are those whose client certificates are believed now.
func (p *Papers) Authorities() *x509.CertPool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.authorities
}

// TLS is the listener's configuration. A client certificate is asked for and
// judged by the door, where a refusal is recorded and has a page; the browser is
// told of the authorities, so that it offers no other. There are no tickets: each
// connection shows its certificate.
func (p *Papers) TLS() *tls.Config { return p.Asking(tls.VersionTLS13, p.Authorities) }

// Asking is TLS for certificates of other authorities, from that version on; nil
// asks for none.
func (p *Papers) Asking(version uint16, authorities func() *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: version,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			own := p.now(hello.Context())
			config := &tls.Config{
				MinVersion:             version,
				Certificates:           []tls.Certificate{own},
				NextProtos:             []string{"h2", "http/1.1"},
				SessionTicketsDisabled: true,
			}
			if known := authorities(); known != nil {
				config.ClientAuth, config.ClientCAs = tls.RequestClientCert, known
			}
			return config, nil
		},
	}
}

// now is the files' content. Files that are not in order, such as a certificate
// whose key has not been replaced yet, leave what was there before.
func (p *Papers) now(ctx context.Context) tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refresh(); err != nil {
		p.logger.WarnContext(ctx, "tls_files_not_in_order", "error", err)
	}
	return p.certificate
}

func (p *Papers) refresh() error {
	var content [3][]byte
	for i, path := range []string{p.files.Certificate, p.files.Key, p.files.ClientCA} {
		if path == "" {
			continue
		}
		var err error
		if content[i], err = os.ReadFile(path); err != nil {
			return fmt.Errorf("reading a TLS file: %w", err)
		}
	}
	defer clear(content[1])
	all := bytes.Join(content[:], []byte{0})
	defer clear(all)
	read := sha256.Sum256(all)
	if read == p.read {
		return nil
	}
	certificate, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return fmt.Errorf("reading the pair %s and %s: %w", p.files.Certificate, p.files.Key, err)
	}
	var authorities *x509.CertPool
	if p.files.ClientCA != "" {
		authorities = x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(content[2]) {
			return fmt.Errorf("reading %s: it holds no certificate (PEM)", p.files.ClientCA)
		}
	}
	p.read, p.certificate, p.authorities = read, certificate, authorities
	return nil
}
