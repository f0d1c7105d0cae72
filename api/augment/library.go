package augment

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
)

// errElsewhere means that an address is not one of this library's.
var errElsewhere = errors.New("another's address")

// Library has what certificates lead to: those of issuers, revocation lists and
// answers about status, under the addresses that the certificates name.
type Library interface {
	// File fetches at most limit octets.
	File(ctx context.Context, address string, limit int64) ([]byte, error)
	OCSP(ctx context.Context, address string, request []byte) ([]byte, error)
}

// File implements Library.
func (w *Web) File(ctx context.Context, address string, limit int64) ([]byte, error) {
	return w.Get(ctx, address, limit)
}

// OCSP implements Library (RFC 6960, appendix A.1).
func (w *Web) OCSP(ctx context.Context, address string, request []byte) ([]byte, error) {
	return w.Post(ctx, address, Question{
		Type: "application/ocsp-request", Accept: "application/ocsp-response", Body: request,
	}, ocsp.MaxAnswer)
}

// Responder answers OCSP requests by the status committed when it is asked. The
// signer fulfils it.
type Responder interface {
	OCSP(ctx context.Context, request []byte) (ocsp.Answer, error)
}

// Published is what the own authority has published.
type Published interface {
	AuthorityDER(ctx context.Context, name string) ([]byte, error)
	RevocationList(ctx context.Context, shard string) (ca.PublishedList, error)
}

// Own is the own authority, which need not be asked over the network.
type Own struct {
	// Bases are where certificates of now and of before say that it publishes:
	// http://ca.example for http://ca.example/ca/root.cer.
	Bases     []string
	Published Published
	Responder Responder
}

// path is what follows the base.
func (o Own) path(address string) (string, bool) {
	for _, base := range o.Bases {
		if path, ok := strings.CutPrefix(address, strings.TrimRight(base, "/")+"/"); ok {
			return path, true
		}
	}
	return "", false
}

// File implements Library.
func (o Own) File(ctx context.Context, address string, _ int64) ([]byte, error) {
	path, ok := o.path(address)
	if !ok {
		return nil, errElsewhere
	}
	name, ok := strings.CutPrefix(path, "ca/")
	if !ok {
		return nil, errElsewhere
	}
	if shard, ok := strings.CutSuffix(name, ".crl"); ok {
		list, err := o.Published.RevocationList(ctx, shard)
		return list.DER, err
	}
	return o.Published.AuthorityDER(ctx, strings.TrimSuffix(name, ".cer"))
}

// OCSP implements Library.
func (o Own) OCSP(ctx context.Context, address string, request []byte) ([]byte, error) {
	if path, ok := o.path(address + "/"); !ok || strings.Trim(path, "/") != "ocsp" {
		return nil, errElsewhere
	}
	answer, err := o.Responder.OCSP(ctx, request)
	return answer.DER, err
}

// Unarmoured takes PEM off, in which some publish against RFC 2585.
func Unarmoured(content []byte) []byte {
	if block, _ := pem.Decode(content); block != nil && bytes.HasPrefix(bytes.TrimSpace(content), []byte("-----BEGIN")) {
		return block.Bytes
	}
	return content
}

// shelf is several libraries, of which the first that has an address answers.
type shelf []Library

func (s shelf) file(ctx context.Context, address string, limit int64) ([]byte, error) {
	return s.first(func(l Library) ([]byte, error) {
		content, err := l.File(ctx, address, limit)
		return Unarmoured(content), err
	}, address)
}

func (s shelf) ocsp(ctx context.Context, address string, request []byte) ([]byte, error) {
	return s.first(func(l Library) ([]byte, error) { return l.OCSP(ctx, address, request) }, address)
}

func (s shelf) first(ask func(Library) ([]byte, error), address string) ([]byte, error) {
	for _, l := range s {
		content, err := ask(l)
		if !errors.Is(err, errElsewhere) {
			return content, err
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrForbidden, address)
}
