package csc

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// signedDocuments is what signatures/signDoc answers: what has its signature
// inside, and signatures that stand alone, each in the order of the call.
type signedDocuments struct {
	Documents      []string        `json:"DocumentWithSignature,omitempty"`
	Objects        []string        `json:"SignatureObject,omitempty"`
	ValidationInfo *validationInfo `json:"validationInfo,omitempty"`
}

type validationInfo struct {
	OCSP         []string `json:"ocsp"`
	CRL          []string `json:"crl"`
	Certificates []string `json:"certificates"`
}

// signDoc builds signatures around all hashes of a consent: the key is used once,
// and a signature is made of each hash then.
func (d *Door) signDoc(ctx context.Context, c call) (answer, error) {
	consent, err := d.qualified(ctx, c)
	if err != nil {
		return answer{}, err
	}
	items, digests, err := c.items()
	if err != nil {
		return answer{}, err
	}
	for _, it := range items {
		if err := c.grant.Client.Permit(it.wanted.Format, it.wanted.Level); err != nil {
			return answer{}, err
		}
	}
	mode, err := d.mode(ctx, c)
	if err != nil {
		return answer{}, err
	}
	info, err := c.body.flag("returnValidationInfo")
	if err != nil {
		return answer{}, err
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	claim, err := d.claims(ctx, consent, hashesOf(items), c.version)
	if err != nil {
		return answer{}, unauthorisedDocuments(err, digests)
	}
	if len(claim.ordinals) != len(claim.request.Documents) {
		return answer{}, invalid("documentDigests or documents are not authorized by the SAD")
	}
	for i, doc := range claim.documents() {
		if doc.Hash != items[i].how.hash {
			return answer{}, invalidParameter("hashAlgorithmOID")
		}
	}
	certificate, err := d.certificate(ctx, consent, items[0].how.algorithm)
	if err != nil {
		return answer{}, err
	}
	return d.build(ctx, consent, claim, deed{items, mode, info, certificate})
}

// deed is what is to be built, and how it leaves.
type deed struct {
	items       []item
	mode        mode
	info        bool
	certificate *x509.Certificate
}

func (d *Door) build(ctx context.Context, consent consented, c claim, what deed) (answer, error) {
	// In the order of the consent, which need not be that of the call.
	wanted := make([]requests.Wanted, len(c.ordinals))
	for i, n := range c.ordinals {
		wanted[n-1] = what.items[i].wanted
	}
	building, err := d.Signatures.Around(ctx, c.request, wanted)
	if err != nil {
		return answer{}, unfit(err)
	}
	defer building.Close()
	order := signer.HashOrder{SAD: consent.SAD, Scheme: what.items[0].how.scheme, Around: building.Orders()}
	if err := d.spend(ctx, &c, order); err != nil {
		return answer{}, err
	}
	used := context.WithoutCancel(ctx) // the key has been
	if what.mode.asynchronous {
		if err := building.Keep(used, c.request); err != nil {
			return answer{}, told(err)
		}
		return ok(response{ResponseID: ticket{claim: c, kind: what.kind(), until: d.Now().Add(what.mode.wait)}.String()})
	}
	built, err := building.Finish(used, c.request)
	if err != nil {
		return answer{}, told(err)
	}
	out, err := d.signed(ctx, c, built, what)
	if err != nil {
		return answer{}, err
	}
	if err := d.Store.HandOut(ctx, c.request.ID, c.ordinals, d.Now()); err != nil {
		return answer{}, told(err)
	}
	return ok(out)
}

// signed puts what was built into the order of the call.
func (d *Door) signed(ctx context.Context, c claim, built []requests.Built, what deed) (out signedDocuments, err error) {
	for _, n := range c.ordinals {
		if b := built[n-1]; b.Document != nil {
			out.Documents = append(out.Documents, base64Of(b.Document))
		} else {
			out.Objects = append(out.Objects, base64Of(b.CMS))
		}
	}
	if what.info {
		out.ValidationInfo, err = d.validation(ctx, what.certificate)
	}
	return out, err
}

// validation is the chain. Answers of OCSP stand in the signatures whose level
// asks for them.
func (d *Door) validation(ctx context.Context, certificate *x509.Certificate) (*validationInfo, error) {
	h, err := d.Store.Hierarchy(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities: %w", err)
	}
	above, err := chain(certificate, h)
	out := validationInfo{OCSP: []string{}, CRL: []string{}}
	for _, c := range append([]*x509.Certificate{certificate}, above...) {
		out.Certificates = append(out.Certificates, base64Of(c.Raw))
	}
	return &out, err
}

func hashesOf(items []item) [][]byte {
	out := make([][]byte, len(items))
	for i, it := range items {
		out[i] = it.hash
	}
	return out
}

// unauthorisedDocuments says it in this method's words. Of a document that came
// itself it is a matter of its own (CSC API v2.0.0.2, 11.11).
func unauthorisedDocuments(err error, digests bool) error {
	var f *fault
	if !errors.As(err, &f) || f.Description != "Hash is not authorized by the SAD" {
		return err
	}
	if !digests {
		return &fault{http.StatusForbidden, "invalid_hash", "Document or documentDigest does not match authorized hash"}
	}
	return invalid("documentDigests or documents are not authorized by the SAD")
}

// unfit are refusals of documents: which finding it was, the description says.
func unfit(err error) error {
	var r *policies.Refusal
	if !errors.As(err, &r) {
		return err
	}
	switch r.Code {
	case policies.DocumentChanged:
		return &fault{http.StatusForbidden, "invalid_hash", "Document or documentDigest does not match authorized hash"}
	case policies.Busy, policies.Unavailable, policies.Internal:
		return err
	case policies.RequestMalformed:
		return invalid("Invalid parameter signed_props (" + r.Params["field"] + ")")
	default:
	}
	return invalid("Invalid array parameter documents (" + string(r.Code) + ")")
}

// levelOf reads conformance_level, in either spelling, without regard to case.
func levelOf(name string) (cades.Level, bool) {
	for _, level := range []struct {
		name  string
		level cades.Level
	}{
		{"ades-b-b", cades.BB},
		{"ades-b-t", cades.BT},
		{"ades-b-lt", cades.BLT},
		{"ades-b-lta", cades.BLTA},
		{"ades-b", cades.BB},
		{"ades-t", cades.BT},
		{"ades-lt", cades.BLT},
		{"ades-lta", cades.BLTA},
	} {
		if level.name == lower(name) {
			return level.level, true
		}
	}
	return "", false
}
