package webhooks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"
)

// newClient speaks to receivers, and only where networks lets it: it knows no
// proxy, which would do the resolving, and follows nobody elsewhere.
func newClient(networks *Networks, authorities *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            networks.dialer().DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
			TLSHandshakeTimeout:    patience,
			ResponseHeaderTimeout:  patience,
			MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConns:           2048,
			MaxIdleConnsPerHost:    8 * widest, // several applications may share a host
			IdleConnTimeout:        time.Minute,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}
}

// What kept a call from being answered, as deliveries show it. Of the network
// that this process is in they tell nothing.
const (
	problemTimeout     = "timeout"
	problemForbidden   = "address_forbidden"
	problemName        = "name_not_resolved"
	problemCertificate = "certificate_invalid"
	problemConnection  = "connection_failed"
)

func problemOf(err error) string {
	var (
		unnamed     *net.DNSError
		certificate *tls.CertificateVerificationError
		late        net.Error
	)
	switch {
	case errors.Is(err, ErrForbidden):
		return problemForbidden
	case errors.As(err, &certificate):
		return problemCertificate
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout():
		return problemTimeout
	case errors.As(err, &unnamed):
		return problemName
	}
	return problemConnection
}
