package pages

import (
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/signer/verify"
)

// everyReport has all that a report can tell.
func everyReport() *verify.Report {
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	bad := verify.Conclusion{Indication: verify.Failed, SubIndication: verify.HashFailure, Reason: "the digest is another"}
	open := verify.Conclusion{Indication: verify.Indeterminate, SubIndication: verify.TryLater, Reason: "nothing is known"}
	chain := []verify.Certificate{
		{Subject: "CN=ESPAÑOL", SHA256: strings.Repeat("ab", 32), NotBefore: at, NotAfter: at, Revocation: &verify.Revocation{Status: verify.StatusGood, Source: "ocsp", ThisUpdate: at}},
		{Subject: "CN=Emisora", NotBefore: at, NotAfter: at, Revocation: &verify.Revocation{Status: verify.StatusRevoked, Source: "crl", RevokedAt: at}},
		{Subject: "CN=Suspendida", NotBefore: at, NotAfter: at, Revocation: &verify.Revocation{Status: verify.StatusSuspended, Source: "crl", RevokedAt: at}},
		{Subject: "CN=Raíz", NotBefore: at, NotAfter: at, Anchor: true},
	}
	stamp := func(kind string, c verify.Conclusion) *verify.TimeStamp {
		return &verify.TimeStamp{Kind: kind, Conclusion: c, Time: at, Authority: &verify.Party{Name: "Sellos"}}
	}
	passed := verify.Conclusion{Indication: verify.Passed}
	first := &verify.Signature{
		Number: 1, Format: "PAdES", Conclusion: bad, Level: "B-T", Signer: &verify.Party{Name: "JUAN\u202e ESPAÑOL", Identifier: "IDCES-00000000T", Organisation: "Ayuntamiento"},
		ClaimedTime: at, BestTime: at, Proved: true, Policy: "2.16.724.1.3.1.1.2.1.9", Chain: chain, Warnings: []string{"a warning"},
		TimeStamps: []*verify.TimeStamp{stamp("content-time-stamp", passed), stamp("signature-time-stamp", bad), stamp("archive-time-stamp-v3", open)},
		PDF:        &verify.Placement{Reason: "Solicitud", Location: "Mula", Revision: 1, Revisions: 3, Certifies: true, Permission: 2},
	}
	for i, kind := range []string{
		"signature_added", "signature_field_added", "timestamp_added", "evidence_added", "form_filled", "annotation_added", "annotation_changed",
		"annotation_removed", "metadata_changed", "structure_changed", "signature_changed", "field_changed", "field_added", "field_removed",
		"form_changed", "page_changed", "pages_changed", "catalog_changed", "irregular",
	} {
		first.PDF.Changes = append(first.PDF.Changes, verify.Change{What: kind, Where: "1", Judgement: []string{"permitted", "suspect", "forbidden"}[i%3]})
	}
	return &verify.Report{
		Name: "solicitud<b>.pdf", Format: "pdf", Size: 12345, Time: at, Algorithms: "ETSI TS 119 312", Conclusion: bad, Warnings: []string{"another"},
		Signatures: []*verify.Signature{first, {Number: 2, Format: "CAdES", Conclusion: open}}, TimeStamps: []*verify.TimeStamp{stamp("document-time-stamp", passed)},
	}
}

// Whatever a report tells has its words in each language: an identifier between
// them would show that one is missing.
func TestReportWords(t *testing.T) {
	t.Parallel()
	p := open(t)
	for _, locale := range []string{"es", "ca", "ca-valencia", "gl", "eu", "en"} {
		page, policy, err := p.ReportHTML(locale, everyReport())
		if err != nil {
			t.Fatal(err)
		}
		html := string(page)
		if strings.Contains(html, "report.") || strings.Contains(html, "no value") || strings.Contains(html, "ZgotmplZ") {
			t.Errorf("%s: a word is missing: %s", locale, html)
		}
		if !strings.Contains(html, `lang="`+locale) || strings.Contains(html, "<b>") || strings.Contains(html, "\u202e") {
			t.Errorf("%s: got a page that a document's own text can bend: %s", locale, html)
		}
		if !strings.Contains(policy, "style-src 'sha256-") {
			t.Errorf("%s: got policy %q", locale, policy)
		}
		pdf, err := p.ReportPDF(locale, everyReport())
		if err != nil || !strings.HasPrefix(string(pdf), "%PDF-") {
			t.Errorf("%s: got a PDF of %d octets, %v", locale, len(pdf), err)
		}
	}
}

// There is one verdict on top, and each sub-indication of the norm is explained.
func TestReportVerdicts(t *testing.T) {
	t.Parallel()
	w := reportWords{auditWords{open(t).speak("es")}}
	for verdict, r := range map[string]*verify.Report{
		"El documento no está firmado":            {Conclusion: verify.Conclusion{Indication: verify.Indeterminate}},
		"La firma es válida":                      {Conclusion: verify.Conclusion{Indication: verify.Passed}, Signatures: make([]*verify.Signature, 1)},
		"Las 3 firmas son válidas":                {Conclusion: verify.Conclusion{Indication: verify.Passed}, Signatures: make([]*verify.Signature, 3)},
		"Hay alguna firma que no es válida":       {Conclusion: verify.Conclusion{Indication: verify.Failed}, Signatures: make([]*verify.Signature, 2)},
		"No se puede afirmar que todo sea válido": {Conclusion: verify.Conclusion{Indication: verify.Indeterminate}, Signatures: make([]*verify.Signature, 2)},
	} {
		if got := w.verdict(r); got != verdict {
			t.Errorf("got %q, want %q", got, verdict)
		}
	}
	for _, sub := range []verify.SubIndication{
		verify.FormatFailure, verify.HashFailure, verify.SigCryptoFailure, verify.Revoked, verify.Expired, verify.NotYetValid,
		verify.SigConstraintsFailure, verify.ChainConstraintsFailure, verify.ChainGeneralFailure, verify.CryptoConstraintsFailure,
		verify.TimestampOrderFailure, verify.NoSigningCertificateFound, verify.NoCertificateChainFound, verify.RevokedNoPOE, verify.RevokedCANoPOE,
		verify.OutOfBoundsNotRevoked, verify.OutOfBoundsNoPOE, verify.RevocationOutOfBoundsNoPOE, verify.CryptoConstraintsNoPOE, verify.NoPOE,
		verify.TryLater, verify.SignedDataNotFound,
	} {
		if !w.Has("report.sub." + string(sub)) {
			t.Errorf("%s is not explained", sub)
		}
	}
}
