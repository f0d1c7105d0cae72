package cms

import (
	"bytes"
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
	m, err := Open(bytes.NewReader(detached), int64(len(detached)))
	if err != nil {
		return err
	}
	return m.WriteAttached(w, content, size)
}

func atEnd(r io.Reader) bool {
	n, err := io.ReadFull(r, make([]byte, 1))
	return n == 0 && errors.Is(err, io.EOF)
}
