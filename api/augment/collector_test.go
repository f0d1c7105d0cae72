package augment

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/ca"
	own "github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// TestCollect: answers, and lists where there are no answers that will do.
func TestCollect(t *testing.T) {
	t.Parallel()
	unavailable := policies.Refuse(policies.EvidenceUnavailable)
	minute := time.Minute
	listDown := func(h *house) { h.fail("/ca/root.crl") }
	noAnswer := func(h *house) { h.fail("/ocsp") }
	answer := func(bend func(*ocsp.Response)) func(*house) {
		return func(h *house) { listDown(h); h.answers(bend) }
	}
	list := func(bend func(*house, *x509.RevocationList)) func(*house) {
		return func(h *house) {
			noAnswer(h)
			change := func(l *x509.RevocationList) { bend(h, l) }
			h.list.Store(&change)
		}
	}
	for name, tc := range map[string]struct {
		bend func(*house)
		want error // nil: an answer; any other
		list bool  // a list in its place
	}{
		"an answer":            {bend: func(*house) {}},
		"a list":               {bend: noAnswer, list: true},
		"neither":              {bend: func(h *house) { h.fail("/") }, want: unavailable},
		"answer not known":     {bend: answer(func(a *ocsp.Response) { a.Status = ocsp.Unknown }), want: unavailable},
		"answer too old":       {bend: answer(func(a *ocsp.Response) { a.ThisUpdate = a.ThisUpdate.Add(-minute) }), want: ErrEarly},
		"answer out of date":   {bend: answer(func(a *ocsp.Response) { a.NextUpdate = a.ThisUpdate.Add(-minute) }), want: unavailable},
		"answer to come":       {bend: answer(func(a *ocsp.Response) { a.ThisUpdate = a.ThisUpdate.Add(time.Hour) }), want: unavailable},
		"about another":        {bend: answer(func(a *ocsp.Response) { a.SerialNumber = big.NewInt(7) }), want: unavailable},
		"revoked before":       {bend: answer(func(a *ocsp.Response) { a.Status, a.RevokedAt = ocsp.Revoked, time.Now().Add(-minute) }), want: new(RevokedError)},
		"revoked after":        {bend: answer(func(a *ocsp.Response) { a.Status, a.RevokedAt = ocsp.Revoked, time.Now().Add(minute) })},
		"old answer, new list": {bend: func(h *house) { h.answers(func(a *ocsp.Response) { a.ThisUpdate = a.ThisUpdate.Add(-minute) }) }, list: true},
		"list too old":         {bend: list(func(_ *house, l *x509.RevocationList) { l.ThisUpdate = l.ThisUpdate.Add(-minute) }), want: ErrEarly},
		"list names it": {bend: list(func(h *house, l *x509.RevocationList) {
			cmstest.Revoked(time.Now().Add(-minute), h.signer.Certificate)(l)
		}), want: new(RevokedError)},
		"list names another": {bend: list(func(h *house, l *x509.RevocationList) { cmstest.Revoked(time.Now(), h.unit.Certificate)(l) }), list: true},
		"list names it, after": {bend: list(func(h *house, l *x509.RevocationList) {
			cmstest.Revoked(time.Now().Add(minute), h.signer.Certificate)(l)
		}), list: true},
		"list out of date": {bend: list(func(_ *house, l *x509.RevocationList) { l.NextUpdate = l.ThisUpdate.Add(time.Nanosecond) }), want: unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			tc.bend(h)
			w := Wanted{Certificate: h.signer.Certificate, Used: time.Now(), Signer: true}
			got, err := h.Evidence.Collect(t.Context(), w)
			if tc.want != nil {
				revoked := (*RevokedError)(nil)
				if _, wanted := errors.AsType[*RevokedError](tc.want); wanted != errors.As(err, &revoked) || !wanted && !errors.Is(err, tc.want) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (len(got.CRLs) == 1) != tc.list || (len(got.OCSPs) == 1) == tc.list {
				t.Errorf("got %d answers and %d lists, want one, of a list: %v", len(got.OCSPs), len(got.CRLs), tc.list)
			}
			if missing := cades.Missing([]*x509.Certificate{h.signer.Certificate}, got); len(missing) > 0 {
				t.Errorf("it lacks what proves %s", missing[0].Subject)
			}
		})
	}
}

// TestCollectChain: the issuers are found where the certificates say, and no
// further than they may lead.
func TestCollectChain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	if err := h.collect(t); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*x509.Certificate)
		trust  []*x509.Certificate
		want   error
	}{
		"root not trusted": {trust: []*x509.Certificate{cmstest.NewAuthority(t).Root}, want: ErrUntrusted},
		"nobody trusted":   {trust: []*x509.Certificate{}, want: ErrUntrusted},
		"nobody to ask":    {change: func(c *x509.Certificate) { c.OCSPServer, c.CRLDistributionPoints = nil, nil }, want: policies.Refuse(policies.EvidenceUnavailable)},
		"host not named": {change: func(c *x509.Certificate) {
			c.OCSPServer, c.CRLDistributionPoints = []string{"http://169.254.169.254/ocsp"}, nil
		}, want: ErrForbidden},
		"file on this machine": {change: func(c *x509.Certificate) { c.OCSPServer, c.CRLDistributionPoints = nil, []string{"file:///etc/passwd"} }, want: ErrForbidden},
		"directory": {change: func(c *x509.Certificate) {
			c.OCSPServer, c.CRLDistributionPoints = nil, []string{"ldap://dir.example/cn=x"}
		}, want: ErrForbidden},
		"expired when used": {change: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, want: ErrUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, tc.change)
			if tc.trust != nil {
				c, ok := h.Evidence.(*Collector)
				if !ok {
					t.Fatal("no Collector")
				}
				c.Trust = trusting(tc.trust...)
			}
			if err := h.collect(t); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// TestAcceptOlder takes what there is, and still nothing that is out of date.
func TestAcceptOlder(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.answers(func(a *ocsp.Response) { a.ThisUpdate = a.ThisUpdate.Add(-time.Minute) })
	h.fail("/ca/root.crl")
	c, ok := h.Evidence.(*Collector)
	if !ok {
		t.Fatal("no Collector")
	}
	c.AcceptOlder = true
	if err := h.collect(t); err != nil {
		t.Errorf("an older answer: %v", err)
	}
	h.answers(func(a *ocsp.Response) { a.NextUpdate = a.ThisUpdate.Add(-time.Minute) })
	if err := h.collect(t); !errors.Is(err, policies.Refuse(policies.EvidenceUnavailable)) {
		t.Errorf("got %v, want %v", err, policies.EvidenceUnavailable)
	}
}

// TestBigList: a list longer than it may be is not read.
func TestBigList(t *testing.T) {
	t.Parallel()
	server, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.Copy(w, strings.NewReader(strings.Repeat("\x30", 1<<20))); err != nil {
				return
			}
		}
	})
	h := newHouse(t, func(c *x509.Certificate) {
		c.OCSPServer, c.CRLDistributionPoints = nil, []string{server.URL + "/huge.crl"}
	})
	c, err := NewCollector(CollectorConfig{
		Trust: trusting(h.Root), Now: time.Now, ListBytes: 1 << 20,
		Libraries: []Library{newWeb(t, WebConfig{Hosts: []string{host}, Networks: loopback()})},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Collect(t.Context(), Wanted{Certificate: h.signer.Certificate, Used: time.Now(), Signer: true}); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v, want %v", err, ErrTooLong)
	}
}

// published is what an authority has published, in memory.
type published struct{ asked []string }

func (p *published) AuthorityDER(_ context.Context, name string) ([]byte, error) {
	p.asked = append(p.asked, "certificate "+name)
	return []byte(name), nil
}

func (p *published) RevocationList(_ context.Context, shard string) (ca.PublishedList, error) {
	p.asked = append(p.asked, "list "+shard)
	return ca.PublishedList{DER: []byte(shard)}, nil
}

func (p *published) OCSP(context.Context, []byte) (own.Answer, error) {
	p.asked = append(p.asked, "answer")
	return own.Answer{DER: []byte("answer")}, nil
}

// TestOwn: what the own authority has published is found without a network, and
// nothing else is taken for it.
func TestOwn(t *testing.T) {
	t.Parallel()
	p := &published{}
	o := Own{Bases: []string{"http://ca.example", "http://old.example/x/"}, Published: p, Responder: p}
	for address, want := range map[string]string{
		"http://ca.example/ca/root.cer": "root", "http://ca.example/ca/issuing-1.crl": "issuing-1", "http://old.example/x/ca/root.cer": "root",
		"http://ca.example.evil/ca/root.cer": "", "http://evil/http://ca.example/ca/root.cer": "", "https://ca.example/ca/root.cer": "",
		"http://ca.example/other/root.cer": "", "http://ca.example": "",
	} {
		got, err := o.File(t.Context(), address, 10)
		if string(got) != want || (want == "") != errors.Is(err, errElsewhere) {
			t.Errorf("%s: got %q, %v, want %q", address, got, err, want)
		}
	}
	for address, want := range map[string]bool{"http://ca.example/ocsp": true, "http://old.example/x/ocsp/": true, "http://ca.example/ocspx": false, "http://evil/ocsp": false} {
		if _, err := o.OCSP(t.Context(), address, nil); want == errors.Is(err, errElsewhere) {
			t.Errorf("%s: got %v, want it answered: %v", address, err, want)
		}
	}
	if _, err := (shelf{o}).file(t.Context(), "http://evil/", 10); !errors.Is(err, ErrForbidden) {
		t.Errorf("got %v, want %v", err, ErrForbidden)
	}
}
