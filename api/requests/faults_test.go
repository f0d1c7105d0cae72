package requests_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// outside is a time-stamping authority on the network that can misbehave.
type outside struct {
	*testing.T
	url   string
	unit  *cmstest.TimeStamps
	asked atomic.Int32
	fault atomic.Pointer[fault]
}

// fault answers a query in the authority's place.
type fault func(o *outside, w http.ResponseWriter, query []byte)

const impatience = 300 * time.Millisecond

func newOutside(t *testing.T, a *cmstest.Authority) *outside {
	t.Helper()
	o := &outside{T: t, unit: a.TimeStamps(t, nil)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		query, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a query: %v", err)
		}
		(*o.fault.Load())(o, w, query)
	}))
	t.Cleanup(server.Close)
	o.url = server.URL
	o.does(honest)
	return o
}

func (o *outside) does(f fault) { o.fault.Store(&f) }

// answer is what a unit says to a query at a moment.
func (o *outside) answer(unit *cmstest.TimeStamps, query []byte, at time.Time) []byte {
	authority, err := tsa.New(tsa.Config{
		Certificate: unit.Certificate, Signer: unit.Key, Policy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1},
		Now: func() time.Time { return at }, Trusted: func(context.Context) error { return nil },
	})
	if err != nil {
		o.Errorf("making a time-stamping unit: %v", err)
		return nil
	}
	out, err := authority.Answer(o.Context(), query)
	if err != nil {
		o.Errorf("stamping: %v", err)
	}
	return out
}

func reply(w http.ResponseWriter, der []byte) {
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(der) // who asked may have gone
}

func honest(o *outside, w http.ResponseWriter, query []byte) {
	reply(w, o.answer(o.unit, query, time.Now()))
}

// bent answers another query than was asked: one octet of it is changed.
func bent(find func(query []byte) int) fault {
	return func(o *outside, w http.ResponseWriter, query []byte) {
		query[find(query)] ^= 1
		honest(o, w, query)
	}
}

// faults are those of the list of F7.
func faults() map[string]fault {
	return map[string]fault{
		"down":     func(*outside, http.ResponseWriter, []byte) { panic(http.ErrAbortHandler) },
		"busy":     func(_ *outside, w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusServiceUnavailable) },
		"noise":    func(_ *outside, w http.ResponseWriter, _ []byte) { reply(w, bytes.Repeat([]byte{0x30}, 4000)) },
		"too slow": func(o *outside, w http.ResponseWriter, query []byte) { time.Sleep(2 * impatience); honest(o, w, query) },
		// The nonce stands before certReq, the imprint's octets behind their header.
		"another's nonce":   bent(func(query []byte) int { return len(query) - 4 }),
		"another's imprint": bent(func(query []byte) int { return bytes.Index(query, []byte{0x04, 0x20}) + 5 }),
		"an expired certificate": func(o *outside, w http.ResponseWriter, query []byte) {
			end := time.Now().Add(-time.Hour)
			old := o.unit.Authority.TimeStamps(o, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = end.AddDate(0, 0, -1), end })
			reply(w, o.answer(old, query, end.Add(-time.Minute)))
		},
		"a stranger's certificate": func(o *outside, w http.ResponseWriter, query []byte) {
			reply(w, o.answer(cmstest.NewAuthority(o).TimeStamps(o, nil), query, time.Now()))
		},
		"a token changed on its way": func(o *outside, w http.ResponseWriter, query []byte) {
			answer := o.answer(o.unit, query, time.Now())
			answer[len(answer)-5] ^= 1
			reply(w, answer)
		},
		"1 GB": func(o *outside, w http.ResponseWriter, _ []byte) {
			block := make([]byte, 1<<20)
			for range 1 << 10 {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
			o.Error("all of 1 GB was read")
		},
	}
}

// asking has the house ask these authorities for time-stamps, in this order.
func (h *house) asking(authorities ...*outside) {
	h.Helper()
	a := h.lifting()
	hosts := make([]string, len(authorities))
	for i, o := range authorities {
		u, err := url.Parse(o.url)
		if err != nil {
			h.Fatal(err)
		}
		hosts[i] = u.Host
	}
	web, err := augment.NewWeb(augment.WebConfig{
		Hosts: hosts, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: impatience,
	})
	if err != nil {
		h.Fatal(err)
	}
	config := augment.StampsConfig{Trust: h.Trust, Timeout: impatience, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
	for _, o := range authorities {
		config.Sources = append(config.Sources, augment.Source{Name: o.url, Authority: web.Authority(o.url)})
	}
	stamps, err := augment.NewStamps(config)
	if err != nil {
		h.Fatal(err)
	}
	if h.Augmenter, err = augment.New(augment.Config{Stamper: stamps, Evidence: a, Trust: h.Trust, Now: time.Now}); err != nil {
		h.Fatal(err)
	}
}

// Whatever an authority does, the signature is there at B-B, says so, and says
// why. The first answer that is right lifts it.
func TestTimeStampFaults(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	upload := pdf(t)
	upload.Level = cades.BLT
	r := h.signed(upload)
	o := newOutside(t, h.signer.Authority)
	h.asking(o)
	if got := requests.Lacking(r.Documents[0]); got != policies.TimeStampUnavailable {
		t.Errorf("before anybody was asked: got %q lacking, want a time-stamp", got)
	}
	awake := cputest.Awake(t)
	for name, fault := range faults() {
		o.does(fault)
		began, asked := awake(), o.asked.Load()
		h.AugmentSoon(t.Context(), r.ID)
		if took := awake() - began; took > 3*time.Second {
			t.Errorf("%s: the citizen waited %v", name, took)
		}
		if o.asked.Load() == asked {
			t.Errorf("%s: the authority was not asked", name)
		}
		content, d := h.result(r)
		if d.Reached != cades.BB || requests.Lacking(d) != policies.TimeStampUnavailable {
			t.Errorf("%s: got %s lacking %q, want B-B lacking a time-stamp", name, d.Reached, d.Lacking)
		}
		h.wantStamps(content, cades.BB)
	}
	o.does(honest)
	if err := h.Augment(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
	content, d := h.result(r)
	if d.Reached != cades.BLT || requests.Lacking(d) != "" {
		t.Errorf("got %s lacking %q in the end, want B-LT", d.Reached, d.Lacking)
	}
	h.wantStamps(content, cades.BLT)
}

// The next authority is asked where one fails, and the one that failed is left
// alone for a while.
func TestTimeStampsInOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	upload := text(signer.CAdESDetached)
	upload.Level = cades.BT
	r := h.signed(upload)
	first, second, third := newOutside(t, h.signer.Authority), newOutside(t, h.signer.Authority), newOutside(t, h.signer.Authority)
	h.asking(first, second, third)
	first.does(faults()["down"])
	second.does(faults()["another's imprint"])
	for round := range 2 {
		h.exec(`UPDATE documents SET level = 'B-T'`, nil)
		if round > 0 {
			h.exec(`DELETE FROM augmentations`, nil)
		}
		if err := h.Augment(t.Context(), r.ID); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if _, d := h.result(r); d.Reached != cades.BT {
			t.Errorf("round %d: got %s, want B-T", round, d.Reached)
		}
	}
	if a, b, c := first.asked.Load(), second.asked.Load(), third.asked.Load(); a < 1 || b != 1 || c != 2 {
		t.Errorf("got %d, %d and %d queries, want 1, 1 and 2", a, b, c)
	}
}

// What was gained is gone on from: a time-stamp that is there is not asked for
// again, though evidence comes later.
func TestAugmentGoesOn(t *testing.T) {
	t.Parallel()
	for _, upload := range []requests.Upload{pdf(t), text(signer.CAdESDetached)} {
		t.Run(string(upload.Format), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			upload.Level = cades.BLTA
			r := h.signed(upload)
			a := h.lifting()
			a.blind = true
			wantRefusal(t, h.Augment(t.Context(), r.ID), policies.EvidenceUnavailable)
			before := h.stamp(r)
			a.blind, a.mute = false, true
			wantRefusal(t, h.Augment(t.Context(), r.ID), policies.TimeStampUnavailable)
			if _, d := h.result(r); d.Reached != cades.BLT || d.Lacking != policies.TimeStampUnavailable {
				t.Errorf("got %s lacking %q, want B-LT lacking a time-stamp", d.Reached, d.Lacking)
			}
			a.mute = false
			wantRefusal(t, h.Augment(t.Context(), r.ID), "")
			if _, d := h.result(r); d.Reached != cades.BLTA || d.Lacking != "" {
				t.Errorf("got %s lacking %q, want B-LTA", d.Reached, d.Lacking)
			}
			if after := h.stamp(r); !bytes.Equal(before, after) {
				t.Error("got another time-stamp than the one that the signature had first")
			}
		})
	}
}

// stamp is the first time-stamp of a signature.
func (h *house) stamp(r signer.Request) []byte {
	h.Helper()
	added, err := h.Store.Augmented(h.Context(), r.ID, 1)
	if err != nil || added == nil {
		h.Fatalf("reading what was gained: %v, %v", added, err)
	}
	m, err := cms.Open(bytes.NewReader(added.CMS), int64(len(added.CMS)))
	if err != nil {
		h.Fatal(err)
	}
	stamps, err := cades.TimeStamps(m, 0)
	if err != nil || len(stamps) == 0 {
		h.Fatalf("got time-stamps %v, %v, want one", stamps, err)
	}
	return stamps[0].Token
}

// The first try and the job may meet at one signature.
func TestAugmentAtOnce(t *testing.T) {
	t.Parallel()
	for _, upload := range []requests.Upload{pdf(t), text(signer.CAdESAttached)} {
		t.Run(string(upload.Format), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			upload.Level = cades.BLTA
			r := h.signed(upload)
			h.lifting()
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if err := h.Augment(t.Context(), r.ID); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			content, d := h.result(r)
			if d.Reached != cades.BLTA {
				t.Errorf("got %s, want B-LTA", d.Reached)
			}
			if upload.Format == signer.PAdES {
				h.wantStamps(content, cades.BLTA)
			}
		})
	}
}
