package oauth

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxCertificate bounds what a header may say.
const maxCertificate = 12 << 10

// ClientCertificate finds the TLS client certificate of a request: that of the
// connection itself or, from a proxy, that which the named header tells of. Only
// the proxies are believed; without a header or without proxies, only the
// connection is.
func ClientCertificate(header string, proxies []netip.Prefix) func(*http.Request) *x509.Certificate {
	return func(r *http.Request) *x509.Certificate {
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			return r.TLS.PeerCertificates[0]
		}
		lines := r.Header.Values(header)
		if header == "" || len(lines) != 1 || !fromProxy(r, proxies) {
			return nil
		}
		der, err := ParseClientCert(lines[0])
		if err != nil {
			return nil
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil
		}
		return certificate
	}
}

func fromProxy(r *http.Request, proxies []netip.Prefix) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) })
}

var errClientCert = errors.New("no certificate in the header")

// ParseClientCert reads a Client-Cert header (RFC 9440, section 2.1: a byte
// sequence of RFC 8941), or a percent-encoded PEM block, as nginx writes it.
func ParseClientCert(line string) ([]byte, error) {
	if len(line) > maxCertificate {
		return nil, errClientCert
	}
	if inner, ok := strings.CutPrefix(line, ":"); ok {
		inner, ok = strings.CutSuffix(inner, ":")
		der, err := base64.StdEncoding.Strict().DecodeString(inner)
		if !ok || err != nil || len(der) == 0 || strings.ContainsAny(inner, "\r\n") {
			return nil, errClientCert
		}
		return der, nil
	}
	text, err := url.PathUnescape(line)
	if err != nil {
		return nil, errClientCert
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 || strings.TrimSpace(string(rest)) != "" {
		return nil, errClientCert
	}
	return block.Bytes, nil
}

// shownCertificate is what go-oidc asks for.
func shownCertificate(ctx context.Context) (*x509.Certificate, error) {
	if v := visitOf(ctx); v.certificate != nil {
		return v.certificate, nil
	}
	return nil, errors.New("no client certificate was shown")
}
