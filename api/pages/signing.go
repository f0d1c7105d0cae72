package pages

import (
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// The views of the signing ceremony, in their order. Addresses that end in URL
// are given by the handlers; SubmitURL is always asked by POST, all others by
// GET.

// Identify asks who is there: step 1.
type Identify struct {
	Page
	Identifier   string // as typed before
	SubmitURL    string
	ForgottenURL string // may be empty
	ChangeURL    string // may be empty
	ActivateURL  string // may be empty
	RefuseURL    string // may be empty
}

// CertificateOffer explains the certificate that the signature needs.
type CertificateOffer struct {
	Page
	Signer Signer
	// Reason is why a certificate is needed: credential_missing,
	// certificate_expired or certificate_revoked; nil if one is replaced.
	Reason *policies.Refusal
	// Replaces tells that there is a certificate, and that it gives way to the
	// new one because keys are kept in another way now.
	Replaces bool
	// SkipURL goes on with the certificate that there is, which ends then;
	// empty where there is none to go on with.
	SkipURL   string
	Ends      time.Time
	DaysLeft  int
	Issuer    string
	Until     time.Time // last day of the certificate to be
	Tail      string    // of the mobile
	SubmitURL string    // sends the code
	RefuseURL string
}

// Renews is whether the certificate that there is could go on.
func (o *CertificateOffer) Renews() bool { return o.SkipURL != "" }

// Expired is whether there was one until lately.
func (o *CertificateOffer) Expired() bool {
	return o.Reason != nil && o.Reason.Code == policies.CertificateExpired
}

// CertificateCode takes the code that creates the certificate.
type CertificateCode struct {
	Page
	CodeSent
	SubmitURL string
	SkipURL   string // as CertificateOffer has it
	RefuseURL string
}

// CertificateRefused tells that no certificate can be issued, and the ways out.
type CertificateRefused struct {
	Page
	// Reason is registration_too_old, registration_telematic or
	// registration_level.
	Reason     *policies.Refusal
	OfficesURL string    // finder of offices; may be empty
	RenewURL   string    // renewal with the DNIe; empty where not offered
	Until      time.Time // the request waits until then
	ResumeURL  string    // identifies again, once renewed
	ReturnURL  string    // of the application; may be empty
	RefuseURL  string
}

// Document is one document of a request.
type Document struct {
	Number      int // from 1
	Title       string
	Kind        string // "PDF"
	Size        int64
	Pages       int    // 0 if it cannot be shown
	Fingerprint string // SHA-256, hexadecimal
	OpenURL     string // shows it on the review page
	OriginalURL string // downloads what is to be signed
	// Findings are what an inspection found in it that a signer should know.
	Findings []policies.Finding
	// HashOnly tells that the document never came: its fingerprint is all that is known.
	HashOnly bool
	Stamped  bool // the signature will be seen in the document, and is on the page shown
	// After the ceremony:
	SignedURL string            // downloads the signed document
	Failure   *policies.Refusal // why it was not signed
	Lacking   *policies.Refusal // why it does not yet have all that was asked for
}

// Opened is the page of a document that the reader looks at.
type Opened struct {
	Document
	Page     int    // from 1; 0 if the document cannot be shown
	ImageURL string // PNG of the page
	LargeURL string // the same, enlarged
	Width    int    // of the image, in pixels
	Height   int
	Text     string // of the page, or of a document without pages; may be empty
	TextURL  string // shows the page with its text; empty where it is shown
	PrevURL  string // empty on the first page
	NextURL  string // empty on the last page
}

// Review shows what is to be signed: step 2.
type Review struct {
	Page
	Documents []Document
	Opened    Opened
	Signer    Signer
	// Others are those who sign the same, in the order in which they are asked.
	Others []Cosigner
	// RenewURL renews the certificate first, which ends then; empty where that
	// is not possible yet.
	RenewURL  string
	Ends      time.Time
	DaysLeft  int
	Tail      string // of the mobile
	SubmitURL string // sends the code
	RefuseURL string
}

// Confirm takes the code that signs: step 3.
type Confirm struct {
	Page
	CodeSent
	Reference string // the four characters that the SMS says too
	Documents []Document
	Signer    Signer
	SubmitURL string
	ReviewURL string
	RefuseURL string
	// Site is where the form leads if an application waits for the consent; empty:
	// it stays here.
	Site string
}

func (c *Confirm) policy() []string { return append(c.CodeSent.policy(), leads(c.Site)...) }

// Refuse asks whether the signature is really to be refused.
type Refuse struct {
	Page
	Documents []Document
	SubmitURL string
	BackURL   string
}

// Done tells what was signed.
type Done struct {
	Page
	Documents []Document
	SignedAt  time.Time
	Reference string
	ReturnURL string // of the application; may be empty
	// ReturnIn sends the reader back by itself; 0 stays. WCAG 2.2, success
	// criterion 2.2.1, asks for 20 seconds at least and a way to stop it.
	ReturnIn time.Duration
	StayURL  string // this page without ReturnIn
	// EvidenceURL is the receipt for people, ReceiptURL for programs; empty where
	// nothing was signed.
	EvidenceURL, ReceiptURL string
}

// Signed counts the documents that were signed.
func (d *Done) Signed() int {
	signed := 0
	for _, document := range d.Documents {
		if document.Failure == nil {
			signed++
		}
	}
	return signed
}

// refresh is the Refresh header. A document that failed needs a reader: then
// nobody is sent away.
func (d *Done) refresh() string {
	if d.ReturnIn <= 0 || d.ReturnURL == "" || d.Signed() < len(d.Documents) {
		return ""
	}
	return fmt.Sprintf("%d; url=%s", int(d.ReturnIn/time.Second), d.ReturnURL)
}

// Leaves tells whether the page will leave for the application by itself.
func (d *Done) Leaves() bool { return d.refresh() != "" }

// Refused tells that the signature was refused.
type Refused struct {
	Page
	At        time.Time
	ReturnURL string
}

// Cosigner is another who signs the same.
type Cosigner struct {
	Initials string // empty of somebody who is not registered
	Signed   bool
}

// Withdrawn tells that the signature is no longer needed.
type Withdrawn struct {
	Page
	At        time.Time
	ReturnURL string
}

// Expired tells that the request lapsed.
type Expired struct {
	Page
	At        time.Time
	ReturnURL string
}

// Working tells that a signature is being made.
type Working struct {
	Page
	LookURL string // looks again
}

// refresh looks again by itself. Nothing on the page can be lost by it.
func (w *Working) refresh() string { return "5; url=" + w.LookURL }

// Interrupted tells that a signature was confirmed and not made, and asks again.
type Interrupted struct {
	Page
	RetryURL string
}

// SessionEnded asks to identify again.
type SessionEnded struct {
	Page
	After       time.Duration // length of a session
	Kept        Kept
	IdentifyURL string
}

// Kept is what has stayed as it was when a session ended. Its sentence is
// session.<kept>.
type Kept string

// What sessions are about.
const (
	KeptRequest     Kept = "kept"
	KeptPassword    Kept = "unchanged"
	KeptCertificate Kept = "certificate"
)

func (*Identify) template() string           { return "identify" }
func (*CertificateOffer) template() string   { return "certificate-offer" }
func (*CertificateCode) template() string    { return "certificate-code" }
func (*CertificateRefused) template() string { return "certificate-refused" }
func (*Review) template() string             { return "review" }
func (*Confirm) template() string            { return "confirm" }
func (*Refuse) template() string             { return "refuse" }
func (*Done) template() string               { return "done" }
func (*Refused) template() string            { return "refused" }
func (*Withdrawn) template() string          { return "withdrawn" }
func (*Expired) template() string            { return "expired" }
func (*Working) template() string            { return "working" }
func (*Interrupted) template() string        { return "interrupted" }
func (*SessionEnded) template() string       { return "session-ended" }
