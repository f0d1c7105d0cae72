package bench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// office is the whole authority in this process, with certificates as the
// service has them and keys in memory, so that what a signature needs of it costs
// no more than the signatures do.
type office struct {
	now       time.Time
	root      *x509.Certificate
	authority *ca.Authority
	stamps    *tsa.Authority
	responder *ocsp.Responder
	list      []byte // the root's
	collector *augment.Collector
	augmenter *augment.Augmenter
}

func openOffice() (*office, error) {
	o := &office{now: time.Now().UTC().Truncate(time.Second)}
	rootKey, err := curveKey()
	if err != nil {
		return nil, err
	}
	o.root, err = ca.CreateRoot(ca.Root{Name: named("Raíz"), NotBefore: o.now, NotAfter: o.now.AddDate(20, 0, 0)}, rootKey, lint.Certificate)
	if err != nil {
		return nil, fmt.Errorf("creating a root: %w", err)
	}
	o.list, err = ca.CRL(ca.List{Number: 1, ThisUpdate: o.now, NextUpdate: o.now.AddDate(0, 6, 0)}, o.root, rootKey)
	if err != nil {
		return nil, fmt.Errorf("signing the root's list: %w", err)
	}
	if err := o.issuing(rootKey); err != nil {
		return nil, err
	}
	if err := o.services(); err != nil {
		return nil, err
	}
	return o, o.lifts()
}

func curveKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	return key, nil
}

func named(common string) ca.Name {
	return ca.Name{Country: "ES", Organisation: "Administración de medida", CommonName: common}
}

func (o *office) issuing(rootKey crypto.Signer) error {
	key, err := curveKey()
	if err != nil {
		return err
	}
	certificate, err := ca.CreateIssuing(ca.Issuing{
		Name: named("Ciudadanos"), NotBefore: o.now, NotAfter: o.now.AddDate(10, 0, 0), PublicKey: key.Public(),
		Addresses: ca.Addresses{Issuer: base + "/ca/root.cer"}, CRL: base + "/ca/root.crl",
	}, o.root, rootKey, lint.Certificate)
	if err != nil {
		return fmt.Errorf("creating an issuing authority: %w", err)
	}
	o.authority, err = ca.New(ca.Config{
		Certificate: certificate, Signer: key, Lint: lint.Certificate,
		Addresses: ca.Addresses{Issuer: base + "/ca/issuing-1.cer", OCSP: base + "/ocsp"},
	})
	return err
}

// services are a responder and a time-stamping unit.
func (o *office) services() error {
	trusted := func(context.Context) error { return nil }
	responderKey, err := curveKey()
	if err != nil {
		return err
	}
	responder, err := issued(o.authority.PrepareOCSP(ca.ServiceRequest{
		Name: named("OCSP"), PublicKey: responderKey.Public(), NotBefore: o.now, NotAfter: o.now.AddDate(0, 0, 90),
	}))
	if err != nil {
		return err
	}
	issuers := []ocsp.Issuer{{Name: "issuing-1", Certificate: o.authority.Certificate, Responder: responder, Signer: responderKey}}
	o.responder, err = ocsp.New(ocsp.Config{
		Issuers: func() []ocsp.Issuer { return issuers }, Statuses: allGood{}, Life: time.Hour, Now: time.Now, Trusted: trusted,
	})
	if err != nil {
		return fmt.Errorf("opening a responder: %w", err)
	}
	unitKey, err := curveKey()
	if err != nil {
		return err
	}
	unit, err := issued(o.authority.PrepareTSA(ca.ServiceRequest{
		Name: named("Sellado"), PublicKey: unitKey.Public(), NotBefore: o.now, CRL: base + "/ca/issuing-1-1.crl",
	}))
	if err != nil {
		return err
	}
	o.stamps, err = tsa.New(tsa.Config{
		Certificate: unit, Signer: unitKey, Chain: []*x509.Certificate{o.authority.Certificate},
		Policy: stampPolicy(), Now: time.Now, Trusted: trusted,
	})
	return err
}

func issued(p *ca.Prepared, err error) (*x509.Certificate, error) {
	if err != nil {
		return nil, fmt.Errorf("certifying: %w", err)
	}
	der, err := p.Issue()
	if err != nil {
		return nil, fmt.Errorf("certifying: %w", err)
	}
	return x509.ParseCertificate(der)
}

// certify gives a citizen a certificate for a key.
func (o *office) certify(key crypto.Signer) (*pen, error) {
	certificate, err := issued(o.authority.Prepare(ca.Request{
		Identifier: "00000000T", GivenName: "JUAN", Surnames: "ESPAÑOL ESPAÑOL", PublicKey: key.Public(),
		NotBefore: o.now, NotAfter: o.now.AddDate(2, 0, 0), CRL: base + "/ca/issuing-1-1.crl",
	}))
	return &pen{key: key, certificate: certificate, chain: []*x509.Certificate{o.authority.Certificate}}, err
}

// citizen has a key on P-256.
func (o *office) citizen() (*pen, error) {
	key, err := curveKey()
	if err != nil {
		return nil, err
	}
	return o.certify(key)
}

// lifts makes what brings signatures to higher levels with this office's help.
func (o *office) lifts() error {
	trust := o.trust
	stamps, err := augment.NewStamps(augment.StampsConfig{
		Sources: []augment.Source{{Name: "own", Authority: o}}, Trust: trust, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	o.collector, err = augment.NewCollector(augment.CollectorConfig{
		Trust: trust, Libraries: []augment.Library{augment.Own{Bases: []string{base}, Published: o, Responder: o}}, Now: time.Now,
	})
	if err != nil {
		return err
	}
	o.augmenter, err = augment.New(augment.Config{Stamper: stamps, Evidence: o.collector, Trust: trust, Now: time.Now})
	return err
}

func (o *office) trust(context.Context) ([]*x509.Certificate, error) {
	return []*x509.Certificate{o.root}, nil
}

// Revocation implements verify.Fetcher.
func (o *office) Revocation(ctx context.Context, c, _ *x509.Certificate) (cades.Evidence, error) {
	return o.collector.Collect(ctx, augment.Wanted{Certificate: c, Used: o.now})
}

// TimeStamp implements augment.Authority.
func (o *office) TimeStamp(ctx context.Context, query []byte) ([]byte, error) {
	return o.stamps.Answer(ctx, query)
}

// OCSP implements augment.Responder.
func (o *office) OCSP(ctx context.Context, request []byte) (ocsp.Answer, error) {
	return o.responder.Answer(ctx, request)
}

// AuthorityDER implements augment.Published.
func (o *office) AuthorityDER(_ context.Context, name string) ([]byte, error) {
	switch name {
	case "root":
		return o.root.Raw, nil
	case "issuing-1":
		return o.authority.Certificate.Raw, nil
	default:
		return nil, policies.Refuse(policies.NotFound)
	}
}

// RevocationList implements augment.Published.
func (o *office) RevocationList(_ context.Context, shard string) (ca.PublishedList, error) {
	if shard != "root" {
		return ca.PublishedList{}, policies.Refuse(policies.NotFound)
	}
	return ca.PublishedList{Number: 1, DER: o.list}, nil
}

// allGood are statuses of certificates of which none was revoked, and keeps no
// answers: each is signed for who asks.
type allGood struct{}

func (allGood) Status(_ context.Context, _ string, serials []string) (map[string]ocsp.Status, error) {
	statuses := map[string]ocsp.Status{}
	for _, serial := range serials {
		statuses[serial] = ocsp.Status{State: ocsp.Good, Version: 1}
	}
	return statuses, nil
}

func (allGood) Kept(context.Context, string) (ocsp.Kept, error) { return ocsp.Kept{}, nil }

func (allGood) Keep(context.Context, ocsp.Kept) error { return nil }
