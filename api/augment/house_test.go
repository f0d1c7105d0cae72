package augment

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	responder "github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
)

// house is an authority that publishes over HTTP, a time-stamping unit of it and
// a signer, and an Augmenter that reaches all of them.
type house struct {
	*Augmenter

	tb     testing.TB
	server *httptest.Server
	*cmstest.Authority
	signer *cmstest.Signer
	unit   unit
	// answer and list are what is published; a test may bend them.
	answer atomic.Pointer[func(*ocsp.Response)]
	list   atomic.Pointer[func(*x509.RevocationList)]
	down   atomic.Pointer[string] // the beginning of paths that fail
	asked  atomic.Int64
	ahead  atomic.Int64
	silent atomic.Bool // no time-stamps
}

func (h *house) now() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }

// places are what certificates of the house name.
func (h *house) places(c *x509.Certificate) {
	c.IssuingCertificateURL = []string{h.server.URL + "/ca/root.cer"}
	c.OCSPServer = []string{h.server.URL + "/ocsp"}
	c.CRLDistributionPoints = []string{h.server.URL + "/ca/root.crl"}
}

func newHouse(tb testing.TB, change func(*x509.Certificate)) *house {
	tb.Helper()
	h := &house{tb: tb, Authority: cmstest.NewAuthority(tb)}
	none := ""
	h.down.Store(&none)
	h.server = httptest.NewServer(http.HandlerFunc(h.serve))
	tb.Cleanup(h.server.Close)
	h.signer = h.Signer(tb, "p256")
	h.signer.Certificate = h.Certify(tb, h.signer.Key.Public(), func(c *x509.Certificate) {
		h.places(c)
		if change != nil {
			change(c)
		}
	})
	h.unit = newUnit(tb, h.Authority, h.now, h.places)
	web := newWeb(tb, WebConfig{Hosts: []string{strings.TrimPrefix(h.server.URL, "http://")}, Networks: loopback(), Timeout: 2 * time.Second})
	trust := trusting(h.Root)
	collector, err := NewCollector(CollectorConfig{Trust: trust, Libraries: []Library{web}, Now: h.now})
	if err != nil {
		tb.Fatal(err)
	}
	stamps := newStamps(tb, StampsConfig{Trust: trust, Sources: []Source{{Name: "tsa", Authority: web.Authority(h.server.URL + "/tsa")}}, Now: h.now})
	if h.Augmenter, err = New(Config{Stamper: stamps, Evidence: collector, Trust: trust, Renew: time.Hour, Now: h.now}); err != nil {
		tb.Fatal(err)
	}
	return h
}

func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	h.asked.Add(1)
	body, err := io.ReadAll(r.Body)
	if down := *h.down.Load(); err != nil || down != "" && strings.HasPrefix(r.URL.Path, down) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	switch r.URL.Path {
	case "/ca/root.cer":
		say(w, h.Root.Raw)
	case "/ca/root.crl":
		change := func(*x509.RevocationList) {}
		if bend := h.list.Load(); bend != nil {
			change = *bend
		}
		say(w, h.CRL(h.tb, change))
	case "/ocsp":
		request, err := responder.Parse(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		about := &x509.Certificate{SerialNumber: request.Certificates[0].Serial}
		say(w, h.OCSP(h.tb, about, func(a *ocsp.Response) {
			if bend := h.answer.Load(); bend != nil {
				(*bend)(a)
			}
		}))
	case "/tsa":
		if h.silent.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		response, err := h.unit.TimeStamp(context.WithoutCancel(r.Context()), body)
		if err != nil {
			h.tb.Error(err)
		}
		say(w, response)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// collect asks for the evidence of the signer, whose key was used now.
func (h *house) collect(tb testing.TB) error {
	tb.Helper()
	_, err := h.Evidence.Collect(tb.Context(), Wanted{Certificate: h.signer.Certificate, Used: h.now(), Signer: true})
	return err
}

var errTest = errors.New("something of the test")
