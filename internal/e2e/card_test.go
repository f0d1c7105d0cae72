package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// holds has the tab show a certificate of the environment's registrar/ to every
// door with TLS, or none if the name is empty. Chromium takes certificates from
// the account of whoever started it, which tests leave alone: what the tab asks
// of these doors is carried by a client that has one. Pages, their policies,
// cookies and the way between the doors stay the browser's.
func (b *tab) holds(name string) {
	b.Helper()
	dir := filepath.Join(shared.dir, "registrar")
	authority, err := os.ReadFile(filepath.Join(dir, "tls-ca.pem"))
	if err != nil {
		b.Fatal(err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(authority)
	if name != "" {
		own, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
		if err != nil {
			b.Fatal(err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	transport := &http.Transport{TLSClientConfig: config}
	b.Cleanup(transport.CloseIdleConnections)
	b.mu.Lock()
	b.carrier = transport
	b.mu.Unlock()
	call(b, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "https://localhost:*"}}})
}

// carry asks in the browser's place, and hands it the answer as it is: it
// follows redirects and keeps cookies itself.
func (b *tab) carry(paused *fetch.EventRequestPaused, from string) {
	answer, err := b.ask(paused.Request, from)
	if err == nil {
		answer.RequestID = paused.RequestID
		_, err = chromedp.Call(b.ctx, fetch.FulfillRequest, answer)
	} else {
		_, _ = chromedp.Call(b.ctx, fetch.FailRequest, fetch.FailRequestParams{
			RequestID: paused.RequestID, ErrorReason: network.ErrorReasonFailed,
		})
	}
	if err != nil && b.ctx.Err() == nil {
		b.note(fmt.Sprintf("carrying %s: %v", paused.Request.URL, err))
	}
}

func (b *tab) ask(asked *network.Request, from string) (answer fetch.FulfillRequestParams, err error) {
	var body bytes.Buffer
	for _, part := range asked.PostDataEntries {
		body.Write(part.Bytes)
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, asked.Method, asked.URL, &body)
	if err != nil {
		return answer, err
	}
	for name, value := range asked.Headers {
		request.Header.Set(name, fmt.Sprint(value))
	}
	// The browser says this later, on the wire (W3C Fetch Metadata).
	request.Header.Set("Sec-Fetch-Site", site(from, asked.URL))
	b.mu.Lock()
	carrier := b.carrier
	b.mu.Unlock()
	response, err := carrier.RoundTrip(request)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close() //nolint:errcheck // read to the end below
	answer.ResponseCode = int64(response.StatusCode)
	for name, values := range response.Header {
		for _, value := range values {
			answer.ResponseHeaders = append(answer.ResponseHeaders, &fetch.HeaderEntry{Name: name, Value: value})
		}
	}
	answer.Body, err = io.ReadAll(response.Body)
	return answer, err
}

// site is how two addresses are related.
func site(from, to string) string {
	a, _ := url.Parse(from)
	z, _ := url.Parse(to)
	switch {
	case a == nil || z == nil || a.Host == "":
		return "none"
	case a.Scheme == z.Scheme && a.Host == z.Host:
		return "same-origin"
	}
	return "cross-site"
}
