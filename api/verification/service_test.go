package verification_test

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/verification"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// looker needs so many answers before it has nothing more to ask.
type looker struct {
	wants int
	looks int
	told  []cades.Evidence
}

func (l *looker) Verify(_ context.Context, _ *documents.File, v documents.Verification) (documents.Verified, error) {
	l.looks++
	l.told = append(l.told, v.Evidence)
	out := documents.Verified{Report: &verify.Report{Indication: verify.Indeterminate, SubIndication: verify.TryLater}}
	if known := len(v.Evidence.OCSPs); known < l.wants {
		c := &x509.Certificate{Raw: []byte{byte(known)}}
		out.Open = []documents.Question{{Certificate: c, Issuer: c}}
		return out, nil
	}
	out.Report.Indication, out.Report.SubIndication = verify.Passed, ""
	return out, nil
}

// responders answer each question with something new, unless they are away.
type responders struct {
	asked []byte
	away  bool
}

func (r *responders) Revocation(_ context.Context, c, _ *x509.Certificate) (cades.Evidence, error) {
	r.asked = append(r.asked, c.Raw...)
	if r.away {
		return cades.Evidence{}, policies.Refuse(policies.EvidenceUnavailable)
	}
	return cades.Evidence{OCSPs: [][]byte{{c.Raw[0]}}}, nil
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wants, looks, asked int
		away                bool
		want                verify.Indication
	}{
		"all is in the document":                  {wants: 0, looks: 1, want: verify.Passed},
		"the signer's status is fetched":          {wants: 1, looks: 2, asked: 1, want: verify.Passed},
		"what was fetched leads to more":          {wants: 2, looks: 3, asked: 2, want: verify.Passed},
		"a document that never has enough":        {wants: 9, looks: 3, asked: 2, want: verify.Indeterminate},
		"nobody answers: the report says what is": {wants: 1, looks: 1, asked: 1, away: true, want: verify.Indeterminate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			worker, authorities := &looker{wants: c.wants}, &responders{away: c.away}
			got, err := serve(worker, authorities).Verify(t.Context(), verification.Input{Name: "a.pdf"})
			if err != nil || got.Indication != c.want {
				t.Fatalf("got %v, %v, want %s", got, err, c.want)
			}
			if worker.looks != c.looks || len(authorities.asked) != c.asked {
				t.Errorf("looked %d times and asked %d, want %d and %d", worker.looks, len(authorities.asked), c.looks, c.asked)
			}
		})
	}
}

// A document that asks the same again and again is asked for once.
func TestVerifyAsksOnce(t *testing.T) {
	t.Parallel()
	authorities := &responders{}
	worker := stubborn{}
	if _, err := serve(worker, authorities).Verify(t.Context(), verification.Input{}); err != nil {
		t.Fatal(err)
	}
	if len(authorities.asked) != 1 {
		t.Errorf("asked %d times, want once", len(authorities.asked))
	}
}

type stubborn struct{}

func (stubborn) Verify(context.Context, *documents.File, documents.Verification) (documents.Verified, error) {
	c := &x509.Certificate{Raw: []byte{1}}
	return documents.Verified{Report: &verify.Report{}, Open: []documents.Question{{Certificate: c, Issuer: c}, {Certificate: c, Issuer: c}}}, nil
}

func TestVerifyRefused(t *testing.T) {
	t.Parallel()
	_, err := serve(refusing{}, &responders{}).Verify(t.Context(), verification.Input{})
	if !errors.Is(err, policies.Refuse(policies.VerificationFormat)) {
		t.Errorf("got %v, want %s", err, policies.VerificationFormat)
	}
}

type refusing struct{}

func (refusing) Verify(context.Context, *documents.File, documents.Verification) (documents.Verified, error) {
	return documents.Verified{}, policies.Refuse(policies.VerificationFormat)
}

func serve(w verification.Worker, a verification.Authorities) *verification.Service {
	return verification.New(verification.Config{
		Worker: w, Authorities: a, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Trust: func(context.Context) ([]*x509.Certificate, error) { return nil, nil },
	})
}
