package requests_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

func (h *house) fix(id string, ticket signer.Ticket) signer.Request {
	h.Helper()
	r, err := h.Fix(h.Context(), id, ticket)
	if err != nil {
		h.Fatalf("Fix: %v", err)
	}
	return r
}

func TestFix(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.citizen()
	h.clock.step = time.Second
	made := h.submit(pdf(t), text(signer.CAdESDetached))
	if made.Documents[0].Digest != nil {
		t.Fatal("got a digest before the citizen came")
	}
	ticket := h.ticket(made.ID)
	first := h.fix(made.ID, ticket)
	for _, d := range first.Documents {
		if d.SigningTime.IsZero() || !bytes.Equal(d.FixedFor, ticket.Hash()) {
			t.Errorf("document %d: got time %v, want it fixed for the ticket", d.Ordinal, d.SigningTime)
		}
	}
	if want := sha256.Sum256(text(signer.CAdESDetached).Content); !bytes.Equal(first.Documents[1].Digest, want[:]) {
		t.Error("got a CAdES digest other than the document's")
	}
	if diff := cmp.Diff(first, h.fix(made.ID, ticket)); diff != "" {
		t.Errorf("the second call changed what the first had settled (-first +second):\n%s", diff)
	}

	again := h.fix(made.ID, h.ticket(made.ID))
	for i, d := range again.Documents {
		before := first.Documents[i]
		if !d.SigningTime.After(before.SigningTime) {
			t.Errorf("document %d: got time %v for another ticket, want it after %v", d.Ordinal, d.SigningTime, before.SigningTime)
		}
		if same := bytes.Equal(d.Digest, before.Digest); same != (d.Format != signer.PAdES) {
			t.Errorf("document %d (%s): got the same digest at another time: %t", d.Ordinal, d.Format, same)
		}
	}
}

// TestFixAtOnce opens the page several times at the same moment: all must show
// the reference that the SMS will name.
func TestFixAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.citizen()
	h.clock.step = time.Second
	made := h.submit(pdf(t), pdf(t))
	ticket := h.ticket(made.ID)
	references := make([]string, 10)
	var all sync.WaitGroup
	for i := range references {
		all.Go(func() {
			r, err := h.Fix(t.Context(), made.ID, ticket)
			if err != nil {
				t.Errorf("Fix %d: %v", i, err)
			}
			references[i] = r.Reference()
		})
	}
	all.Wait()
	want := h.read(made.ID).Reference()
	for i, got := range references {
		if got != want {
			t.Errorf("Fix %d: got reference %s, want %s as it stands now", i, got, want)
		}
	}
}

func TestFixRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		sql  string
		code policies.Code
	}{
		{"spent", `UPDATE tickets SET spent_at = now(), sealed_key = NULL`, policies.SessionExpired},
		{"gone", `DELETE FROM tickets`, policies.SessionExpired},
		{"content gone", `DELETE FROM contents`, policies.NotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.citizen()
			made := h.submit(text(signer.CAdESDetached))
			ticket := h.ticket(made.ID)
			h.exec(tt.sql, nil)
			_, err := h.Fix(t.Context(), made.ID, ticket)
			wantRefusal(t, err, tt.code)
			if got := h.read(made.ID).Documents[0]; got.Digest != nil {
				t.Errorf("got a digest fixed at %v, want none", got.SigningTime)
			}
		})
	}
}

// signed takes one document to its signature, as the signer would leave it.
func (h *house) signed(u requests.Upload) signer.Request {
	h.Helper()
	h.citizen()
	made := h.submit(u)
	d := h.fix(made.ID, h.ticket(made.ID)).Documents[0]
	h.exec(`UPDATE documents SET cms = @cms`, pgx.NamedArgs{"cms": h.signer.SignParams(h, cades.Params{
		ContentDigest: d.Digest, Hash: crypto.SHA256, Certificate: h.signer.Certificate,
		SigningTime: d.SigningTime, PAdES: d.Format == signer.PAdES,
	})})
	h.exec(`UPDATE requests SET state = 'signed', closed_at = @now`, pgx.NamedArgs{"now": h.clock.Now()})
	return h.read(made.ID)
}

func TestResult(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		upload          requests.Upload
		name, mediaType string
		check           func(t *testing.T, h *house, r signer.Request, content []byte)
	}{
		{pdf(t), "Solicitud-firmado.pdf", "application/pdf", checkPDF},
		{
			text(signer.CAdESDetached), "acta.txt.p7s", "application/pkcs7-signature",
			func(t *testing.T, h *house, _ signer.Request, content []byte) {
				t.Helper()
				h.openssl(t, content, text(signer.CAdESDetached).Content)
			},
		},
		{
			text(signer.CAdESAttached), "acta.txt.p7m", "application/pkcs7-mime",
			func(t *testing.T, h *house, _ signer.Request, content []byte) {
				t.Helper()
				h.openssl(t, content, nil)
				if !bytes.Contains(content, text(signer.CAdESAttached).Content) {
					t.Error("got a signature without the document in it")
				}
			},
		},
	} {
		t.Run(string(tt.upload.Format), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			r := h.signed(tt.upload)
			got, err := h.Result(t.Context(), r, 1)
			if err != nil {
				t.Fatalf("Result: %v", err)
			}
			if got.Name != tt.name || got.MediaType != tt.mediaType {
				t.Errorf("got %s, %s, want %s, %s", got.Name, got.MediaType, tt.name, tt.mediaType)
			}
			content := whole(t, got.File)
			tt.check(t, h, r, content)
			again, err := h.Result(t.Context(), r, 1)
			if err != nil {
				t.Fatalf("a second time: %v", err)
			}
			if twice := whole(t, again.File); !bytes.Equal(twice, content) {
				t.Errorf("a second time: got %d other bytes, want the same", len(twice))
			}

			for _, ordinal := range []int{-1, 0, 2} {
				_, err := h.Result(t.Context(), r, ordinal)
				wantRefusal(t, err, policies.NotFound)
			}
			h.exec(`DELETE FROM contents`, nil)
			_, err = h.Result(t.Context(), r, 1)
			wantRefusal(t, err, policies.NotFound)
			r.State = signer.Signing
			_, err = h.Result(t.Context(), r, 1)
			wantRefusal(t, err, policies.RequestState)
		})
	}
}

// whole reads a file and closes it.
func whole(t *testing.T, f *documents.File) []byte {
	t.Helper()
	defer f.Close()
	content, err := io.ReadAll(f.Reader())
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// checkPDF asks the layout and pdfsig about a signed PDF.
func checkPDF(t *testing.T, h *house, r signer.Request, content []byte) {
	t.Helper()
	if !bytes.HasPrefix(content, pdf(t).Content) {
		t.Error("got a PDF that does not begin with the one that came")
	}
	size := len(pdf(t).Content)
	if err := layout(t, r).Verify(bytes.NewReader(content[:size]), content[size:], h.signer.Certificate); err != nil {
		t.Errorf("verifying the PDF: %v", err)
	}
	file := filepath.Join(t.TempDir(), "signed.pdf")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "pdfsig", "-nocert", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Signature is Valid.") || !strings.Contains(string(out), "Total document signed") {
		t.Errorf("pdfsig: %v\n%s", err, out)
	}
}

func (h *house) openssl(t *testing.T, der, content []byte) {
	t.Helper()
	if out, err := h.signer.OpenSSL(t, der, content); err != nil {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

func layout(t *testing.T, r signer.Request) pades.Layout {
	t.Helper()
	var l pades.Layout
	if err := json.Unmarshal(r.Documents[0].Layout, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// wantDamage demands an error that no citizen or application is to blame for.
func wantDamage(t *testing.T, err error) {
	t.Helper()
	if refusal, refused := errors.AsType[*policies.Refusal](err); err == nil || refused {
		t.Errorf("got %v (refusal %v), want an internal error", err, refusal)
	}
}

// TestDamagedContent flips bits of a stored document, before and after it is fixed.
func TestDamagedContent(t *testing.T) {
	t.Parallel()
	const (
		flip       = `UPDATE content_pieces SET data = set_byte(data, @at, get_byte(data, @at) # 1)`
		flipUpdate = `UPDATE documents SET update = set_byte(update, @at, get_byte(update, @at) # 1)`
	)
	for _, upload := range []requests.Upload{pdf(t), text(signer.CAdESDetached), text(signer.CAdESAttached)} {
		t.Run(string(upload.Format), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			r := h.signed(upload)
			size := len(upload.Content)
			result := func() error {
				got, err := h.Result(t.Context(), r, 1)
				if err == nil {
					got.File.Close()
				}
				return err
			}
			original := func() error {
				f, err := h.Original(t.Context(), r.ID, r.Documents[0])
				if err == nil {
					f.Close()
				}
				return err
			}
			for _, at := range []int{0, size / 2, size - 1} {
				args := pgx.NamedArgs{"at": at}
				h.exec(flip, args)
				wantDamage(t, result())
				wantDamage(t, original())
				h.exec(flip, args)
			}
			if upload.Format == signer.PAdES {
				l := layout(t, r)
				for _, at := range []int64{l.Original, l.ByteRangeAt + 1, l.HoleStart, l.HoleEnd - 1, l.TimeAt, l.Size - 1} {
					args := pgx.NamedArgs{"at": at - l.Original}
					h.exec(flipUpdate, args)
					wantDamage(t, result())
					h.exec(flipUpdate, args)
				}
			}
			if err := result(); err != nil {
				t.Fatalf("with all bits put back: %v", err)
			}
			h.exec(`UPDATE content_pieces SET data = substring(data FROM 1 FOR @size)`, pgx.NamedArgs{"size": size - 1})
			wantDamage(t, original())
			h.exec(`UPDATE requests SET state = 'pending', closed_at = NULL`, nil)
			_, err := h.Fix(t.Context(), r.ID, h.ticket(r.ID))
			wantDamage(t, err)
		})
	}
}

// TestDamagedCMS flips a bit in each octet of a stored signature. Only the
// issuer's certificate may change unseen: no signature covers it, and whoever
// validates has it from elsewhere.
func TestDamagedCMS(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.signed(text(signer.CAdESDetached))
	signature := r.Documents[0].CMS
	issuer := bytes.Index(signature, h.signer.Root.Raw)
	if issuer < 0 {
		t.Fatal("got a CMS without its issuer's certificate")
	}
	for at := range signature {
		if at >= issuer && at < issuer+len(h.signer.Root.Raw) {
			continue
		}
		r.Documents[0].CMS = bytes.Clone(signature)
		r.Documents[0].CMS[at] ^= 1
		if _, err := h.Result(t.Context(), r, 1); err == nil {
			t.Errorf("octet %d of %d: got a result, want it refused", at, len(signature))
		} else {
			wantDamage(t, err)
		}
	}
	r.Documents[0].CMS = signature
	h.exec(`DELETE FROM certificates`, nil)
	_, err := h.Result(t.Context(), r, 1)
	wantDamage(t, err)
}
