package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
)

// Files name what one side of a TLS connection needs, as PEM. They are read
// again for each handshake: who replaces them needs no restart.
type Files struct {
	// Certificate is this side's chain, its own certificate first; Key is its key.
	Certificate, Key string
	// CA holds the authorities that issue the other side's certificates.
	CA string
}

// identity is what Files held when they were last in order.
type identity struct {
	files  Files
	logger *slog.Logger

	mu      sync.Mutex
	read    [sha256.Size]byte // of the files' content
	current material
}

type material struct {
	certificate tls.Certificate
	authorities *x509.CertPool
}

func openIdentity(files Files, logger *slog.Logger) (*identity, error) {
	i := &identity{files: files, logger: logger}
	return i, i.refresh()
}

// now is the files' content. Files that are not in order, such as a certificate
// whose key has not been replaced yet, leave what was there before.
func (i *identity) now(ctx context.Context) material {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.read
	if err := i.refresh(); err != nil {
		i.logger.WarnContext(ctx, "tls_files_not_in_order", "error", err)
	} else if i.read != before {
		i.logger.InfoContext(ctx, "tls_files_read", "subject", i.current.certificate.Leaf.Subject.String(), "not_after", i.current.certificate.Leaf.NotAfter)
	}
	return i.current
}

func (i *identity) refresh() error {
	var content [3][]byte
	for n, path := range []string{i.files.Certificate, i.files.Key, i.files.CA} {
		var err error
		if content[n], err = os.ReadFile(path); err != nil {
			return fmt.Errorf("reading a TLS file: %w", err)
		}
	}
	defer clear(content[1])
	all := bytes.Join(content[:], []byte{0})
	defer clear(all)
	read := sha256.Sum256(all)
	if read == i.read {
		return nil
	}
	certificate, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return fmt.Errorf("reading the pair %s and %s: %w", i.files.Certificate, i.files.Key, err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(content[2]) {
		return fmt.Errorf("reading %s: it holds no certificate (PEM)", i.files.CA)
	}
	i.read, i.current = read, material{certificate, authorities}
	return nil
}

var errClientName = errors.New("the client's certificate has none of the names given with --tls-client-name")

// checkName compares whole names: a wildcard stands for nobody here.
func checkName(s tls.ConnectionState, allowed []string) error {
	if len(s.PeerCertificates) == 0 {
		return errClientName
	}
	has := s.PeerCertificates[0].DNSNames
	for _, name := range allowed {
		if slices.ContainsFunc(has, func(n string) bool { return strings.EqualFold(n, name) }) {
			return nil
		}
	}
	return fmt.Errorf("%w: it has %q", errClientName, has)
}
