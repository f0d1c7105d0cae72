package csc

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// signHash hands out bare values over hashes that the citizen has consented to.
// The first call makes those of all of them.
func (d *Door) signHash(ctx context.Context, c call) (answer, error) {
	consent, err := d.consent(ctx, c)
	if err != nil {
		return answer{}, err
	}
	if err := c.grant.Client.Permit(signer.Hash, ""); err != nil {
		return answer{}, err
	}
	hashes, err := c.body.hashes(c.version.hashesName(), "hash")
	if err != nil {
		return answer{}, err
	}
	claim, err := d.claims(ctx, consent, hashes, c.version)
	if err != nil {
		return answer{}, err
	}
	w := c.version.words()
	how, err := c.body.manner(w)
	if err != nil {
		return answer{}, err
	}
	mode, err := d.mode(ctx, c)
	if err != nil {
		return answer{}, err
	}
	if size, _ := digestOf(how.hash); len(hashes[0]) != size.Size() {
		return answer{}, invalid("Invalid digest value length")
	}
	if claim.request.Documents[0].Hash != how.hash {
		return answer{}, invalidParameter(w.hash)
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	certificate, err := d.certificate(ctx, consent, how.algorithm)
	if err != nil {
		return answer{}, err
	}
	if err := d.spend(ctx, &claim, signer.HashOrder{SAD: consent.SAD, Scheme: how.scheme}); err != nil {
		return answer{}, err
	}
	if mode.asynchronous {
		return ok(response{ResponseID: ticket{claim: claim, kind: bareValues}.String()})
	}
	values, err := d.values(ctx, claim, certificate, how)
	if err != nil {
		return answer{}, err
	}
	return ok(signatures{values})
}

type signatures struct {
	Signatures []string `json:"signatures"`
}

type response struct {
	ResponseID string `json:"responseID"`
}

// certificate is the credential's, if its key signs by that algorithm and it is of
// the kind that was asked for: when it was, it may yet have had to be made.
func (d *Door) certificate(ctx context.Context, consent consented, a algorithm) (*x509.Certificate, error) {
	_, credential, err := d.Store.CredentialOf(ctx, consent.CredentialID)
	if errors.Is(err, policies.Refuse(policies.CredentialMissing)) || err == nil && credential.Certificate == nil {
		return nil, invalidParameter("credentialID")
	}
	if err != nil {
		return nil, fmt.Errorf("reading a credential: %w", err)
	}
	certificate, err := x509.ParseCertificate(credential.Certificate.DER)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	if _, isRSA := certificate.PublicKey.(*rsa.PublicKey); isRSA != a.rsa {
		return nil, invalidParameter("signAlgo")
	}
	if consent.Qualifier != "" && consent.Qualifier != Qualifier(certificate) {
		return nil, invalidParameter("SAD")
	}
	return certificate, nil
}

// spend has the key used, unless it has been: of two calls at once one does it,
// and the other finds it done.
func (d *Door) spend(ctx context.Context, c *claim, order signer.HashOrder) error {
	if c.request.State == signer.Pending {
		err := d.Module.SignHashes(ctx, order)
		if err == nil {
			return d.reread(ctx, c)
		}
		if !errors.Is(err, policies.Refuse(policies.AuthorisationInvalid)) && !errors.Is(err, policies.Refuse(policies.RequestState)) {
			return told(err)
		}
	}
	const looks, pause = 20, 100 * time.Millisecond
	for range looks {
		if err := d.reread(ctx, c); err != nil {
			return err
		}
		if c.request.State != signer.Signing {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	if c.request.State != signer.Signed {
		return invalidParameter("SAD")
	}
	return nil
}

func (d *Door) reread(ctx context.Context, c *claim) error {
	var err error
	if c.request, err = d.Store.Request(ctx, c.request.ID); err != nil {
		return fmt.Errorf("reading a request again: %w", err)
	}
	return nil
}

// values hands bare values out, each checked with the certificate (DESIGN, rule
// 17 of its style): what was made by another algorithm is not what is asked for.
func (d *Door) values(ctx context.Context, c claim, certificate *x509.Certificate, how manner) ([]string, error) {
	hash, _ := digestOf(how.hash)
	opts := cms.SignerOpts(hash, how.scheme, certificate.PublicKey)
	out := make([]string, len(c.ordinals))
	for i, doc := range c.documents() {
		if err := cms.CheckValue(certificate.PublicKey, opts, doc.Given, doc.CMS); err != nil {
			return nil, invalidParameter("signAlgo")
		}
		out[i] = base64Of(doc.CMS)
	}
	if err := d.Store.HandOut(ctx, c.request.ID, c.ordinals, d.Now()); err != nil {
		return nil, told(err)
	}
	return out, nil
}

// mode is operationMode with what goes with it.
type mode struct {
	asynchronous bool
	callback     string
	wait         time.Duration // validity_period, or what is usual
}

// mode reads the asynchronous trio. Whoever asks for the result later may ask for
// a call back as well, at one of the addresses that the application has registered
// as its webhooks: those are told of the signature, by their rules.
func (d *Door) mode(ctx context.Context, c call) (mode, error) {
	m, err := c.mode()
	if err != nil || m.callback == "" {
		return m, err
	}
	registered, err := d.Store.Webhooks(ctx, c.grant.Client.ID)
	if err != nil {
		return m, fmt.Errorf("reading webhooks: %w", err)
	}
	if !slices.ContainsFunc(registered, func(w signer.Webhook) bool { return w.URL == m.callback && w.StoppedAt.IsZero() }) {
		return m, invalidParameter("response_uri")
	}
	return m, nil
}

func (c call) mode() (mode, error) {
	if c.version == 1 {
		return mode{}, nil
	}
	name, err := c.body.may("operationMode")
	if err != nil {
		return mode{}, err
	}
	m := mode{asynchronous: name == "A", wait: patience}
	if name != "" && name != "S" && name != "A" {
		return m, invalidParameter("operationMode")
	}
	if c.body.has("validity_period") {
		switch n, ok := c.body.number("validity_period"); {
		case !ok:
			return m, invalidParameter("validity_period")
		case n < 1 || n > longestWait.Milliseconds():
			return m, invalid("Out of bounds parameter validity_period")
		default:
			m.wait = time.Duration(n) * time.Millisecond
		}
	}
	if !c.body.has("response_uri") {
		return m, nil
	}
	var given bool
	m.callback, given = c.body.text("response_uri")
	if u, err := url.Parse(m.callback); !given || err != nil || !m.asynchronous || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return m, invalidParameter("response_uri")
	}
	return m, nil
}
