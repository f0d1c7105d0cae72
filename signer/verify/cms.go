package verify

import (
	"bytes"
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// maxPEM bounds a signature in PEM, which has to be decoded as a whole.
const maxPEM = 64 << 20

// cms validates a CMS signature, attached or detached.
func (v *validation) cms(ctx context.Context, in Input, report *Report) error {
	document, size, err := unwrap(in)
	if err != nil {
		return err
	}
	m, err := cms.Open(document, size)
	if errors.Is(err, cms.ErrMalformed) {
		return fmt.Errorf("%w: %w", ErrNotSigned, err)
	}
	if err != nil {
		return fmt.Errorf("reading the signature: %w", err)
	}
	digests, err := contentDigests(m, in)
	if err != nil {
		return err
	}
	if m.Attached() && in.Content != nil {
		report.Warnings = append(report.Warnings, "the content stands in the signature: the other one was not looked at")
	}
	form := coherent(m)
	for i := range m.Signers {
		out := &Signature{Number: i + 1, Format: "CAdES", Structure: cades.LevelOf(m, i, v.pool.anchors...)}
		if out.Structure == "" {
			out.Format = "CMS"
		}
		report.Signatures = append(report.Signatures, out)
		v.validate(ctx, &signed{
			report: out, message: m, index: i, digests: digests, format: first(form, repeated(m, i)),
			check: func(t *cades.TimeStamp) error { return t.Check(contentOf(m, in)) },
		})
	}
	v.reject(report)
	return nil
}

// reject takes back what signatures came to where the document holds evidence
// that was tampered with.
func (v *validation) reject(report *Report) {
	tampered := v.pool.tampered()
	if len(tampered) == 0 {
		return
	}
	for _, s := range report.Signatures {
		if s.Indication == Passed {
			s.Conclusion = *indeterminate(SigConstraintsFailure, "the document holds what was changed after it was signed: %s", strings.Join(tampered, "; "))
		}
	}
	report.Warnings = append(report.Warnings, "changed after it was signed: "+strings.Join(tampered, "; "))
}

// repeated refuses two signatures with the same value: one of them is not what
// it seems.
func repeated(m *cms.Message, index int) *Conclusion {
	for i, s := range m.Signers {
		if i != index && bytes.Equal(s.Signature, m.Signers[index].Signature) {
			return failed(FormatFailure, "signatures %d and %d have the same value", i+1, index+1)
		}
	}
	return nil
}

// contentDigests reads the content once; nil where there is none.
func contentDigests(m *cms.Message, in Input) (map[crypto.Hash][]byte, error) {
	if !m.Attached() && in.Content == nil {
		return nil, nil
	}
	digests, err := m.Digests(contentOf(m, in))
	if err != nil {
		return nil, fmt.Errorf("reading the content: %w", err)
	}
	return digests, nil
}

func contentOf(m *cms.Message, in Input) io.Reader {
	if m.Attached() || in.Content == nil {
		return nil
	}
	return io.NewSectionReader(in.Content, 0, in.ContentSize)
}

// unwrap takes the signature out of PEM.
func unwrap(in Input) (io.ReaderAt, int64, error) {
	head := make([]byte, 1)
	if _, err := in.Document.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("reading the signature: %w", err)
	}
	if head[0] == 0x30 {
		return in.Document, in.Size, nil
	}
	if in.Size > maxPEM {
		return nil, 0, fmt.Errorf("%w: %d octets of PEM", ErrNotSigned, in.Size)
	}
	text, err := io.ReadAll(io.NewSectionReader(in.Document, 0, in.Size))
	if err != nil {
		return nil, 0, fmt.Errorf("reading the signature: %w", err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CMS" && block.Type != "PKCS7" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, 0, fmt.Errorf("%w: PEM of something else", ErrNotSigned)
	}
	return bytes.NewReader(block.Bytes), int64(len(block.Bytes)), nil
}
