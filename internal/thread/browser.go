// Package thread carries one signature through from registration to result,
// over the real doors and pages and nothing else: an office and an application
// that speak HTTP, a citizen with a browser that knows no JavaScript, and a
// phone. The demonstration, the benchmark and the end-to-end tests walk it.
package thread

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Browser keeps cookies, follows redirects and fills forms in.
type Browser struct {
	client *http.Client
	url    *url.URL
	status int
	page   *html.Node
	size   int // of the page, octets
}

// NewBrowser makes one without cookies.
func NewBrowser() (*Browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("making a cookie jar: %w", err)
	}
	return &Browser{client: &http.Client{Jar: jar, Transport: connections()}}, nil
}

// From has the browser call from another address: see Network.
func (b *Browser) From(address netip.Addr) { b.client.Transport = Network(address) }

// Show has the browser show a certificate to whoever asks for one over TLS, and
// believe these authorities about who asks.
func (b *Browser) Show(own tls.Certificate, authorities *x509.CertPool) {
	transport := connections()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, RootCAs: authorities}
	b.client.Transport = transport
}

// Network calls from an address of this machine, all of 127.0.0.0/8: to the
// service, 127.0.9.1 is another network than 127.0.0.1.
func Network(address netip.Addr) http.RoundTripper {
	dialer, own := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0))}, connections()
	own.DialContext = func(ctx context.Context, _, to string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp4", to) }
	return own
}

// connections are a browser's own, as every browser's are: a test server that
// closes takes http.DefaultTransport's idle ones with it, from under whoever
// is about to post over one.
func connections() *http.Transport { return &http.Transport{IdleConnTimeout: 15 * time.Second} }

// Open goes to an address.
func (b *Browser) Open(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return fmt.Errorf("opening %s: %w", address, err)
	}
	return b.do(req)
}

// Submit fills in and sends the form that has all these fields. Hidden fields
// go along as the page has them.
func (b *Browser) Submit(ctx context.Context, fields map[string]string) error {
	form := b.form(fields)
	if form == nil {
		return fmt.Errorf("page %s has no form with these fields: %s", b.url, b.Text())
	}
	values := url.Values{}
	for _, in := range all(form, atom.Input) {
		if name := attribute(in, "name"); name != "" && attribute(in, "type") != "submit" {
			values.Set(name, attribute(in, "value"))
		}
	}
	for name, value := range fields {
		values.Set(name, value)
	}
	action, err := b.url.Parse(attribute(form, "action"))
	if err != nil {
		return fmt.Errorf("reading the form's action: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, action.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return fmt.Errorf("sending a form: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.url.Scheme+"://"+b.url.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(req)
}

// form finds the form that has all the fields.
func (b *Browser) form(fields map[string]string) *html.Node {
	for _, form := range all(b.page, atom.Form) {
		if has(form, fields) {
			return form
		}
	}
	return nil
}

func has(form *html.Node, fields map[string]string) bool {
	names := map[string]bool{}
	for _, in := range all(form, atom.Input) {
		names[attribute(in, "name")] = true
	}
	for name := range fields {
		if !names[name] {
			return false
		}
	}
	return true
}

// Press sends the form whose action ends like this, with its hidden fields.
func (b *Browser) Press(ctx context.Context, action string) error {
	for _, form := range all(b.page, atom.Form) {
		path, _, _ := strings.Cut(attribute(form, "action"), "?")
		if strings.HasSuffix(path, action) {
			only := &Browser{client: b.client, url: b.url, page: form}
			err := only.Submit(ctx, nil)
			b.url, b.status, b.page, b.size = only.url, only.status, only.page, only.size
			return err
		}
	}
	return fmt.Errorf("page %s has no button for %s: %s", b.url, action, b.Text())
}

// Images fetches every picture of the page, as a real browser would.
func (b *Browser) Images(ctx context.Context) error {
	base := b.url
	for _, img := range all(b.page, atom.Img) {
		src, err := base.Parse(attribute(img, "src"))
		if err != nil {
			return fmt.Errorf("reading a picture's address: %w", err)
		}
		if _, err := b.fetch(ctx, src); err != nil {
			return err
		}
	}
	return nil
}

// Weight is how many octets the page has with all that a browser loads to show
// it: styles, scripts and symbols, each once. Pictures are left out.
func (b *Browser) Weight(ctx context.Context) (int, error) {
	weight, seen := b.size, map[string]bool{"": true}
	from := map[string]string{"link": "href", "script": "src", "use": "href"}
	for n := range b.page.Descendants() {
		address, _, _ := strings.Cut(attribute(n, from[n.Data]), "#")
		if n.Type != html.ElementNode || seen[address] {
			continue
		}
		seen[address] = true
		part, err := b.url.Parse(address)
		if err != nil {
			return 0, fmt.Errorf("reading an address: %w", err)
		}
		size, err := b.fetch(ctx, part)
		if err != nil {
			return 0, err
		}
		weight += int(size)
	}
	return weight, nil
}

// fetch loads a part of the page, and returns its size in octets.
func (b *Browser) fetch(ctx context.Context, part *url.URL) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, part.String(), http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("fetching %s: %w", part, err)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("fetching %s: %w", part, err)
	}
	size, err := io.Copy(io.Discard, resp.Body)
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("fetching %s: status %d: %w", part, resp.StatusCode, err)
	}
	return size, nil
}

func (b *Browser) do(req *http.Request) error {
	resp, err := b.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end below
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading %s: %w", req.URL.Path, err)
	}
	b.url, b.status, b.size = resp.Request.URL, resp.StatusCode, len(body)
	if b.page, err = html.Parse(bytes.NewReader(body)); err != nil {
		return fmt.Errorf("parsing %s: %w", req.URL.Path, err)
	}
	return nil
}

// URL is where the browser is; Status how the page was answered.
func (b *Browser) URL() *url.URL { return b.url }

// Status is the page's HTTP status.
func (b *Browser) Status() int { return b.status }

// Text is what the page's main part says, on one line.
func (b *Browser) Text() string {
	root := b.page
	if mains := all(root, atom.Main); len(mains) > 0 {
		root = mains[0]
	}
	var words []string
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.DataAtom != atom.Script && n.Parent.DataAtom != atom.Style {
			words = append(words, strings.Fields(n.Data)...)
		}
	}
	return strings.Join(words, " ")
}

func all(root *html.Node, kind atom.Atom) []*html.Node {
	var found []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.DataAtom == kind {
			found = append(found, n)
		}
	}
	if root.Type == html.ElementNode && root.DataAtom == kind {
		found = append([]*html.Node{root}, found...)
	}
	return found
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
