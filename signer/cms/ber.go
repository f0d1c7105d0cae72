package cms

import (
	"bytes"
	"fmt"
	"math/bits"
)

// Identifier octets (X.690, 8.1.2) of the elements that SignedData is made of.
const (
	tagInteger    = 0x02
	tagOctets     = 0x04
	tagOID        = 0x06
	tagEnumerated = 0x0a
	tagSequence   = 0x30
	tagSet        = 0x31
	constructed   = 0x20
	context0      = 0x80
	context0Set   = 0xa0
	context1Set   = 0xa1
)

// maxDepth bounds how deep elements stand in each other. X.509, OCSP and
// time-stamps inside time-stamps need some thirty.
const maxDepth = 96

// maxChanges bounds how many elements of another form than DER's may stand in
// one. Streams have a few, whose contents are passed by.
const maxChanges = 1 << 16

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

// wrap is an element around the given ones.
func wrap(identifier byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(header(identifier, int64(len(body))), body...)
}

// prefix is what stands before the contents of a BER element.
type prefix struct {
	identifier byte // the first octet of it
	size       int  // in octets
	length     int64
	indefinite bool
}

// readPrefix reads identifier and length. It takes lengths in more octets than
// needed, as BER allows, up to 2^48.
func readPrefix(b []byte) (prefix, error) {
	n := 1
	if len(b) > 0 && b[0]&0x1f == 0x1f { // a tag above 30
		for n < len(b) && b[n]&0x80 != 0 {
			n++
		}
		n++
	}
	if n >= len(b) {
		return prefix{}, fmt.Errorf("%w: truncated", ErrMalformed)
	}
	p := prefix{identifier: b[0], size: n + 1}
	switch l := b[n]; {
	case l == 0x80:
		p.indefinite = true
		if b[0]&constructed == 0 {
			return prefix{}, fmt.Errorf("%w: primitive element of indefinite length", ErrMalformed)
		}
	case l < 0x80:
		p.length = int64(l)
	default:
		octets := int(l & 0x7f)
		if octets > 8 || p.size+octets > len(b) {
			return prefix{}, fmt.Errorf("%w: length", ErrMalformed)
		}
		for _, o := range b[p.size : p.size+octets] {
			if p.length = p.length<<8 | int64(o); p.length >= 1<<48 {
				return prefix{}, fmt.Errorf("%w: length", ErrMalformed)
			}
		}
		p.size += octets
	}
	return p, nil
}

// cursor reads BER elements from memory, one after the other.
type cursor struct {
	rest []byte
	at   int // where rest begins
}

func (c *cursor) skip(n int) { c.rest, c.at = c.rest[n:], c.at+n }

// inside is a cursor for the contents of the element that comes next.
func (c *cursor) inside(p prefix) cursor {
	inner := cursor{rest: c.rest[p.size:], at: c.at + p.size}
	if !p.indefinite {
		inner.rest = inner.rest[:p.length]
	}
	return inner
}

func (c *cursor) empty() bool { return len(c.rest) == 0 }

// ended is whether the contents of an element end here: with end-of-contents
// octets, where its length is indefinite (X.690, 8.1.5).
func (c *cursor) ended(indefinite bool) bool {
	if !indefinite {
		return c.empty()
	}
	return len(c.rest) >= 2 && c.rest[0] == 0 && c.rest[1] == 0
}

// element reads one. An element that has definite lengths and no string in
// pieces, in itself and in what it contains, is given as it stands; in another
// one, those parts of it are written anew, the way DER has them.
func (c *cursor) element() ([]byte, error) {
	start := *c
	var s shape
	size, _, err := s.measure(c, maxDepth)
	if err != nil {
		return nil, err
	}
	if len(s.changes) == 0 {
		end := c.at - start.at
		return start.rest[:end:end], nil
	}
	return s.write(make([]byte, 0, size), &start, false), nil
}

// expect reads an element with that identifier.
func (c *cursor) expect(identifier byte, what string) ([]byte, error) {
	e, err := c.element()
	if err != nil {
		return nil, err
	}
	if e[0] != identifier {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	return e, nil
}

// shape is which constructed elements have another form in DER, an element before
// those in it.
type shape struct{ changes []change }

// change is an element that is written anew, with the length of its contents.
type change struct{ at, length int }

// measure reads an element, and gives its size in DER, and that of its contents.
func (s *shape) measure(c *cursor, depth int) (size, body int, err error) {
	p, err := readPrefix(c.rest)
	if err != nil {
		return 0, 0, err
	}
	if depth == 0 || p.length > int64(len(c.rest)-p.size) {
		return 0, 0, fmt.Errorf("%w: too deep, or truncated", ErrMalformed)
	}
	if c.rest[0] == 0 && c.rest[1] == 0 {
		return 0, 0, fmt.Errorf("%w: end of contents", ErrMalformed)
	}
	end := p.size + int(p.length)
	if p.identifier&constructed == 0 {
		c.skip(end)
		return end, int(p.length), nil
	}
	own, identifier := len(s.changes), len(tag(c.rest))
	if s.changes = append(s.changes, change{at: c.at}); len(s.changes) > maxChanges {
		return 0, 0, fmt.Errorf("%w: too loose", ErrMalformed)
	}
	inner := c.inside(p)
	for !inner.ended(p.indefinite) {
		if p.pieces() && !inner.string() {
			return 0, 0, fmt.Errorf("%w: string in pieces", ErrMalformed)
		}
		whole, contents, err := s.measure(&inner, depth-1)
		if err != nil {
			return 0, 0, err
		}
		if p.pieces() {
			whole = contents
		}
		body += whole
	}
	if p.indefinite {
		end = inner.at - c.at + 2
	}
	c.skip(end)
	if !p.indefinite && !p.pieces() && len(s.changes) == own+1 {
		s.changes = s.changes[:own]
		return end, body, nil
	}
	s.changes[own].length = body
	return identifier + lengthOctets(body) + body, body, nil
}

// write writes an element that was measured; of a piece, the contents only.
func (s *shape) write(out []byte, c *cursor, piece bool) []byte {
	p, err := readPrefix(c.rest)
	if err != nil { // it was measured
		return out
	}
	end := p.size + int(p.length)
	if len(s.changes) == 0 || s.changes[0].at != c.at {
		element := c.rest[:end]
		c.skip(end)
		if piece {
			element = element[p.size:]
		}
		return append(out, element...)
	}
	length := s.changes[0].length
	s.changes = s.changes[1:]
	if !piece {
		identifier := tag(c.rest)
		if p.pieces() {
			identifier = []byte{tagOctets}
		}
		out = append(append(out, identifier...), header(0, int64(length))[1:]...)
	}
	inner := c.inside(p)
	for !inner.ended(p.indefinite) {
		out = s.write(out, &inner, p.pieces())
	}
	if p.indefinite {
		end = inner.at - c.at + 2
	}
	c.skip(end)
	return out
}

// lengthOctets is how many octets a definite length takes.
func lengthOctets(length int) int {
	if length < 0x80 {
		return 1
	}
	return 1 + (bits.Len(uint(length))+7)/8
}

// pieces is whether it is of an octet string in pieces.
func (p prefix) pieces() bool { return p.identifier == tagOctets|constructed }

// string is whether an octet string comes next.
func (c *cursor) string() bool { return !c.empty() && c.rest[0]&^constructed == tagOctets }

// tag is the identifier octets of an element.
func tag(element []byte) []byte {
	n := 1
	for element[0]&0x1f == 0x1f && element[n]&0x80 != 0 {
		n++
	}
	if element[0]&0x1f == 0x1f {
		n++
	}
	return element[:n]
}

// contents are those of an element that cursor has read.
func contents(element []byte) []byte {
	p, err := readPrefix(element)
	if err != nil || p.indefinite {
		return nil
	}
	return element[p.size:]
}

// elements are those inside one that cursor has read, at most maxMembers.
func elements(element []byte) ([][]byte, error) {
	out := [][]byte{}
	for c := (&cursor{rest: contents(element)}); !c.empty(); {
		e, err := c.element()
		if err != nil {
			return nil, err
		}
		if out = append(out, e); len(out) > maxMembers {
			return nil, fmt.Errorf("%w: too many members", ErrMalformed)
		}
	}
	return out, nil
}

// retag gives an element another identifier octet; length and contents stay.
func retag(element []byte, identifier byte) []byte {
	if len(element) == 0 {
		return nil
	}
	return append([]byte{identifier}, element[1:]...)
}

// Trim is the first element of what may be padded with zeros behind it, as the
// Contents of a PDF signature are.
func Trim(padded []byte) ([]byte, error) {
	c := cursor{rest: padded}
	if _, err := c.element(); err != nil {
		return nil, err
	}
	if len(bytes.TrimLeft(c.rest, "\x00")) > 0 {
		return nil, fmt.Errorf("%w: octets behind the end", ErrMalformed)
	}
	return padded[:len(padded)-len(c.rest)], nil
}
