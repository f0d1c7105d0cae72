package cms

import (
	"bytes"
	"crypto"
	"fmt"
	"hash"
	"io"
)

// Write writes the message: all lengths definite, the content in one piece, as
// DER has it. A message that was DER and was not changed is written octet by
// octet as it was.
func (m *Message) Write(w io.Writer) error {
	head, tail, err := m.around(m.content != nil, m.ContentSize())
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("writing SignedData: %w", err)
	}
	if m.content != nil {
		n, err := io.Copy(w, m.content.reader())
		if err != nil {
			return fmt.Errorf("copying content: %w", err)
		}
		if n != m.content.size {
			return fmt.Errorf("copying content: %w", io.ErrUnexpectedEOF)
		}
	}
	if _, err := w.Write(tail); err != nil {
		return fmt.Errorf("writing SignedData: %w", err)
	}
	return nil
}

// WriteAttached writes a detached message with its content inside, byte after
// byte: the memory it needs does not depend on size, which is the exact number
// of octets that content yields. ErrContentMismatch if a signer signed another
// one; on any error what was written is worthless.
func (m *Message) WriteAttached(w io.Writer, content io.Reader, size int64) error {
	if m.content != nil || size < 0 {
		return fmt.Errorf("%w: not detached, or a negative size", ErrMalformed)
	}
	head, tail, err := m.around(true, size)
	if err != nil {
		return err
	}
	hashes := map[crypto.Hash]hash.Hash{}
	all := []io.Writer{w}
	for _, s := range m.Signers {
		if s.Hash == 0 || s.MessageDigest() == nil {
			return fmt.Errorf("%w: a signer whose content cannot be told", ErrUnsupported)
		}
		if hashes[s.Hash] == nil {
			hashes[s.Hash] = s.Hash.New()
			all = append(all, hashes[s.Hash])
		}
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("writing SignedData: %w", err)
	}
	n, err := io.Copy(io.MultiWriter(all...), io.LimitReader(content, size))
	if err != nil {
		return fmt.Errorf("copying content: %w", err)
	}
	if n != size || !atEnd(content) {
		return ErrContentMismatch
	}
	for _, s := range m.Signers {
		if !bytes.Equal(s.MessageDigest(), hashes[s.Hash].Sum(nil)) {
			return ErrContentMismatch
		}
	}
	if _, err := w.Write(tail); err != nil {
		return fmt.Errorf("writing SignedData: %w", err)
	}
	return nil
}

// around gives the octets before and after a content of the given size.
func (m *Message) around(attached bool, size int64) (head, tail []byte, err error) {
	signers := make([][]byte, 0, len(m.Signers))
	for _, s := range m.Signers {
		signers = append(signers, s.encode())
	}
	tail = bytes.Join([][]byte{
		m.certificates.encode(context0Set), m.revocations.encode(context1Set),
		encodeSet(tagSet, signers, m.signersInOrder),
	}, nil)
	if len(tail) > maxRest {
		return nil, nil, fmt.Errorf("%w: %d octets beside the content", ErrMalformed, len(tail))
	}
	enclose := func(identifier byte, before []byte, behind int) {
		inner := append(before, head...)
		head = append(header(identifier, int64(len(inner)+behind)+size), inner...)
	}
	if attached {
		head = header(tagOctets, size)
		enclose(context0Set, nil, 0)
	} else {
		size = 0
	}
	enclose(tagSequence, bytes.Clone(m.contentType), 0)
	enclose(tagSequence, append(bytes.Clone(m.version), m.digestAlgorithms.encode(tagSet)...), len(tail))
	enclose(context0Set, nil, len(tail))
	enclose(tagSequence, bytes.Clone(m.outerType), len(tail))
	return head, tail, nil
}
