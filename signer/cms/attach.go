package cms

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
)

// ErrContentMismatch is Attach's answer when the content is not the signed one.
var ErrContentMismatch = errors.New("content is not the signed content")

// Attach writes the signature of a detached SignedData with its content inside,
// byte after byte: the memory it needs does not depend on size, which is the
// exact number of bytes that content yields. On any error what was written is
// worthless.
func Attach(w io.Writer, detached []byte, content io.Reader, size int64) error {
	s, err := Parse(detached)
	if err != nil {
		return err
	}
	if s.Attached || size < 0 {
		return fmt.Errorf("%w: not detached, or a negative size", ErrMalformed)
	}
	digest, err := s.MessageDigest()
	if err != nil {
		return err
	}
	head, tail, err := around(detached, size)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("writing SignedData: %w", err)
	}
	h := s.Hash.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(content, size))
	if err != nil {
		return fmt.Errorf("copying content: %w", err)
	}
	if n != size || !atEnd(content) || !bytes.Equal(h.Sum(nil), digest) {
		return ErrContentMismatch
	}
	if _, err := w.Write(tail); err != nil {
		return fmt.Errorf("writing SignedData: %w", err)
	}
	return nil
}

// around gives the bytes before and after a content of the given size: those of
// the detached signature, with a content and with the lengths around it widened.
func around(detached []byte, size int64) (head, tail []byte, err error) {
	info, err := children(detached, 2) // contentType, [0]
	if err != nil {
		return nil, nil, err
	}
	wrapped, err := children(info[1], 1) // SignedData
	if err != nil {
		return nil, nil, err
	}
	members, err := children(wrapped[0], 4) // version, digestAlgorithms, encapContentInfo, the rest
	if err != nil {
		return nil, nil, err
	}
	encapsulated, err := children(members[2], 1) // eContentType
	if err != nil {
		return nil, nil, err
	}
	tail = bytes.Join(members[3:], nil)

	head = header(0x04, size)
	enclose := func(identifier byte, before []byte, behind int) {
		head = append(before, head...)
		head = append(header(identifier, int64(len(head)+behind)+size), head...)
	}
	enclose(0xa0, nil, 0)                                  // eContent
	enclose(0x30, bytes.Clone(encapsulated[0]), 0)         // encapContentInfo
	enclose(0x30, bytes.Join(members[:2], nil), len(tail)) // SignedData
	enclose(0xa0, nil, len(tail))                          // content
	enclose(0x30, bytes.Clone(info[0]), len(tail))         // ContentInfo
	return head, tail, nil
}

// children are the elements inside a constructed one, at least so many.
func children(der []byte, least int) ([][]byte, error) {
	var parent asn1.RawValue
	if _, err := asn1.Unmarshal(der, &parent); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var out [][]byte
	for rest := parent.Bytes; len(rest) > 0; {
		var child asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &child); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		out = append(out, child.FullBytes)
	}
	if len(out) < least {
		return nil, fmt.Errorf("%w: %d members", ErrMalformed, len(out))
	}
	return out, nil
}

// header is identifier and definite length in the fewest octets (X.690, 10.1).
func header(identifier byte, length int64) []byte {
	if length < 0x80 {
		return []byte{identifier, byte(length)} //nolint:gosec // below 0x80
	}
	var octets []byte
	for ; length > 0; length >>= 8 {
		octets = append([]byte{byte(length)}, octets...)
	}
	return append([]byte{identifier, 0x80 | byte(len(octets))}, octets...) //nolint:gosec // at most 8
}

func atEnd(r io.Reader) bool {
	n, err := io.ReadFull(r, make([]byte, 1))
	return n == 0 && errors.Is(err, io.EOF)
}
