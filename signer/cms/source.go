package cms

import (
	"errors"
	"fmt"
	"io"
)

const (
	// window is how much is read at once to find headers.
	window = 4 << 10
	// maxHead bounds what stands before the content: a few algorithms.
	maxHead = 64 << 10
	// maxPieces bounds how deep a string in pieces contains others.
	maxPieces = 16
)

// source is a SignedData of which only small parts are held.
type source struct {
	r     io.ReaderAt
	size  int64
	piece []byte
	at    int64
	// reuse says that nobody keeps the octets that were given.
	reuse bool
}

// octets are n of them; what is near stays at hand.
func (s *source) octets(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || int64(n) > s.size-off {
		return nil, fmt.Errorf("%w: truncated", ErrMalformed)
	}
	if off < s.at || off+int64(n) > s.at+int64(len(s.piece)) {
		piece, wanted := s.piece, int(min(max(int64(n), window), s.size-off))
		if !s.reuse || cap(piece) < wanted {
			piece = make([]byte, wanted)
		}
		piece, s.piece = piece[:wanted], nil
		if _, err := io.ReadFull(io.NewSectionReader(s.r, off, int64(len(piece))), piece); err != nil {
			return nil, fmt.Errorf("reading SignedData: %w", err)
		}
		s.piece, s.at = piece, off
	}
	return s.piece[off-s.at:][:n:n], nil
}

// prefix reads identifier and length at an offset before end.
func (s *source) prefix(off, end int64) (prefix, error) {
	b, err := s.octets(off, int(max(0, min(16, end-off))))
	if err != nil {
		return prefix{}, err
	}
	p, err := readPrefix(b)
	if err == nil && !p.indefinite && p.length > end-off-int64(p.size) {
		err = fmt.Errorf("%w: truncated", ErrMalformed)
	}
	return p, err
}

// ended is whether the contents that began before off have come to their end,
// and what comes after it.
func (s *source) ended(off, end int64, indefinite bool) (bool, int64, error) {
	if !indefinite {
		return off == end, off, nil
	}
	b, err := s.octets(off, 2)
	if err != nil || b[0] != 0 || b[1] != 0 {
		return false, off, err
	}
	return true, off + 2, nil
}

// container is an element that was entered.
type container struct {
	end        int64 // of its contents; where the length is indefinite, of those around it
	indefinite bool
}

// scanner goes through a SignedData from its beginning to its end.
type scanner struct {
	source
	open []container
	off  int64
}

// limit is the end of what was entered last, as far as it is known.
func (s *scanner) limit() int64 {
	if len(s.open) == 0 {
		return s.size
	}
	return s.open[len(s.open)-1].end
}

// at is whether an element with that identifier comes next.
func (s *scanner) at(identifier byte) (bool, error) {
	if s.off == s.limit() {
		return false, nil
	}
	b, err := s.octets(s.off, 1)
	return err == nil && b[0] == identifier, err
}

// enter enters elements with those identifiers.
func (s *scanner) enter(identifiers ...byte) error {
	for _, identifier := range identifiers {
		p, err := s.prefix(s.off, s.limit())
		if err != nil {
			return err
		}
		if p.identifier != identifier {
			return fmt.Errorf("%w: %#x where %#x belongs", ErrMalformed, p.identifier, identifier)
		}
		s.off += int64(p.size)
		s.open = append(s.open, enter(p, s.off, s.limit()))
	}
	return nil
}

// leave demands that what was entered last ends here.
func (s *scanner) leave() error {
	last := s.open[len(s.open)-1]
	ended, off, err := s.ended(s.off, last.end, last.indefinite)
	if err != nil {
		return err
	}
	if !ended {
		return fmt.Errorf("%w: unknown members", ErrMalformed)
	}
	s.open, s.off = s.open[:len(s.open)-1], off
	return nil
}

// element reads one with that identifier, of at most so many octets.
func (s *scanner) element(identifier byte, most int64) ([]byte, error) {
	p, err := s.prefix(s.off, s.limit())
	if err != nil {
		return nil, err
	}
	size := int64(p.size) + p.length
	if p.indefinite {
		size = min(s.limit()-s.off, most)
	}
	if p.identifier != identifier || size > most {
		return nil, fmt.Errorf("%w: %#x of %d octets where %#x belongs", ErrMalformed, p.identifier, size, identifier)
	}
	octets, err := s.octets(s.off, int(size))
	if err != nil {
		return nil, err
	}
	c := cursor{rest: octets}
	element, err := c.element()
	s.off += size - int64(len(c.rest))
	return element, err
}

// walker finds the pieces of an octet string (X.690, 8.7), which may itself be
// made of pieces.
type walker struct {
	*source
	open []container
	off  int64
}

// next is where the next piece stands; done after the last.
func (w *walker) next() (start, length int64, done bool, err error) {
	for len(w.open) > 0 {
		top := w.open[len(w.open)-1]
		ended, off, err := w.ended(w.off, top.end, top.indefinite)
		if err != nil {
			return 0, 0, false, err
		}
		if ended {
			w.open, w.off = w.open[:len(w.open)-1], off
			continue
		}
		p, err := w.prefix(w.off, top.end)
		if err != nil {
			return 0, 0, false, err
		}
		w.off += int64(p.size)
		switch {
		case p.identifier == tagOctets:
			start, w.off = w.off, w.off+p.length
			return start, p.length, false, nil
		case p.identifier != tagOctets|constructed || len(w.open) > maxPieces:
			return 0, 0, false, fmt.Errorf("%w: content in pieces", ErrMalformed)
		default:
			w.open = append(w.open, enter(p, w.off, top.end))
		}
	}
	return 0, 0, true, nil
}

func enter(p prefix, off, end int64) container {
	if p.indefinite {
		return container{end: end, indefinite: true}
	}
	return container{end: off + p.length}
}

// content is where the attached content stands.
type content struct {
	r     io.ReaderAt
	size  int64 // of the content
	whole int64 // where it stands, if in one piece
	walk  func() *walker
}

// locate finds the content in the octet string at off, and what comes behind.
func locate(s *source, off, end int64) (*content, int64, error) {
	p, err := s.prefix(off, end)
	if err != nil {
		return nil, 0, err
	}
	off += int64(p.size)
	switch p.identifier {
	case tagOctets:
		return &content{r: s.r, size: p.length, whole: off}, off + p.length, nil
	case tagOctets | constructed:
	default:
		return nil, 0, fmt.Errorf("%w: content that is no octet string", ErrUnsupported)
	}
	r, size := s.r, s.size
	c := &content{r: r, walk: func() *walker {
		return &walker{source: &source{r: r, size: size, reuse: true}, open: []container{enter(p, off, end)}, off: off}
	}}
	w := c.walk()
	for {
		_, length, done, err := w.next()
		if err != nil {
			return nil, 0, err
		}
		if done {
			return c, w.off, nil
		}
		c.size += length
	}
}

// reader reads the content from its beginning.
func (c *content) reader() io.Reader {
	if c.walk == nil {
		return io.NewSectionReader(c.r, c.whole, c.size)
	}
	return &pieces{walker: c.walk()}
}

// pieces reads a content in pieces.
type pieces struct {
	walker    *walker
	at, left  int64
	exhausted bool
}

func (p *pieces) Read(b []byte) (int, error) {
	for p.left == 0 && !p.exhausted {
		var err error
		if p.at, p.left, p.exhausted, err = p.walker.next(); err != nil {
			return 0, err
		}
	}
	if p.exhausted {
		return 0, io.EOF
	}
	n, err := io.NewSectionReader(p.walker.r, p.at, p.left).Read(b)
	p.at, p.left = p.at+int64(n), p.left-int64(n)
	if errors.Is(err, io.EOF) { // pieces are left: the source has become shorter
		if err = nil; n == 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}
