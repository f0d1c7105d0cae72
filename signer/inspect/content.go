package inspect

import (
	"bytes"
	"encoding/hex"
	"iter"
	"strconv"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

const (
	// maxOperands bounds what may stand before one operator.
	maxOperands = 1024
	// maxNesting bounds arrays in arrays of operands.
	maxNesting = 16
)

// operation is one operator of a content stream with its operands
// (ISO 32000-2, 7.8.2).
type operation struct {
	operator string
	operands []pdf.Object
}

func (o operation) number(i int) float64 {
	if i >= len(o.operands) {
		return 0
	}
	return float(o.operands[i])
}

func (o operation) name(i int) pdf.Name {
	if i >= len(o.operands) {
		return ""
	}
	n, ok := o.operands[i].(pdf.Name)
	if !ok {
		return ""
	}
	return n
}

// numbers gives the first six operands.
func (o operation) numbers() (n [6]float64) {
	for i := range n {
		n[i] = o.number(i)
	}
	return n
}

// operations reads a content stream up to its end or to what cannot be read:
// viewers differ on the rest.
func operations(data []byte) iter.Seq[operation] {
	return func(yield func(operation) bool) {
		s := scanner{data: data}
		var operands []pdf.Object
		for {
			token, ok := s.token(0)
			if !ok {
				return
			}
			operator, isOperator := token.(word)
			if !isOperator {
				if len(operands) < maxOperands {
					operands = append(operands, token)
				}
				continue
			}
			if operator == "BI" {
				s.skipImage()
			}
			if !yield(operation{string(operator), operands}) {
				return
			}
			operands = nil
		}
	}
}

// word is a token that is no object: an operator, or a bracket out of place.
type word string

type scanner struct {
	data []byte
	pos  int
}

func (s *scanner) token(depth int) (any, bool) {
	if !s.skipSpace() {
		return nil, false
	}
	switch c := s.data[s.pos]; {
	case c == '/':
		s.pos++
		return pdf.Name(unescapeName(s.regular())), true
	case c == '(':
		return s.literal(), true
	case c == '<' && !bytes.HasPrefix(s.data[s.pos:], []byte("<<")):
		return s.hexadecimal(), true
	case c == '[':
		s.pos++
		return s.array(depth), true
	case bytes.IndexByte([]byte("<>]{}"), c) >= 0:
		// Dictionaries serve marked content only; their parts pass for operands.
		s.pos++
		return nil, true
	case c == ')':
		s.pos++
		return nil, true
	}
	text := s.regular()
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return n, true
	}
	if _, err := strconv.ParseFloat(string(text), 64); err == nil {
		return pdf.Real(text), true
	}
	return word(text), true
}

func (s *scanner) array(depth int) pdf.Array {
	members := pdf.Array{}
	for s.skipSpace() && s.data[s.pos] != ']' {
		if depth >= maxNesting {
			s.pos = len(s.data)
			break
		}
		member, ok := s.token(depth + 1)
		if !ok {
			break
		}
		if _, isWord := member.(word); !isWord && len(members) < maxOperands {
			members = append(members, member)
		}
	}
	s.pos++
	return members
}

func (s *scanner) skipSpace() bool {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case isSpace(c):
			s.pos++
		case c == '%':
			for s.pos < len(s.data) && s.data[s.pos] != '\n' && s.data[s.pos] != '\r' {
				s.pos++
			}
		default:
			return true
		}
	}
	return false
}

func (s *scanner) regular() []byte {
	from := s.pos
	for s.pos < len(s.data) && !isSpace(s.data[s.pos]) && bytes.IndexByte([]byte("()<>[]{}/%"), s.data[s.pos]) < 0 {
		s.pos++
	}
	return s.data[from:s.pos]
}

func unescapeName(raw []byte) []byte {
	if bytes.IndexByte(raw, '#') < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '#' && i+2 < len(raw) {
			if c, err := hex.DecodeString(string(raw[i+1 : i+3])); err == nil {
				out = append(out, c[0])
				i += 2
				continue
			}
		}
		out = append(out, raw[i])
	}
	return out
}

func (s *scanner) hexadecimal() pdf.String {
	s.pos++
	end := bytes.IndexByte(s.data[s.pos:], '>')
	if end < 0 {
		end = len(s.data) - s.pos
	}
	digits := bytes.Map(func(r rune) rune {
		if r < 0x80 && isSpace(byte(r)) {
			return -1
		}
		return r
	}, s.data[s.pos:s.pos+end])
	s.pos = min(len(s.data), s.pos+end+1)
	if len(digits)%2 == 1 {
		digits = append(digits, '0')
	}
	out := make([]byte, len(digits)/2)
	n, err := hex.Decode(out, digits)
	if err != nil {
		out = out[:n]
	}
	return pdf.String(out)
}

// escapes are those of literal strings (ISO 32000-2, table 3).
const escapes = "n\nr\rt\tb\bf\f"

func (s *scanner) literal() pdf.String {
	var out []byte
	depth := 0
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case '(':
			if depth++; depth > 1 {
				out = append(out, c)
			}
		case ')':
			if depth--; depth == 0 {
				s.pos++
				return pdf.String(out)
			}
			out = append(out, c)
		case '\\':
			s.pos++
			out = s.escape(out)
		default:
			out = append(out, c)
		}
	}
	return pdf.String(out)
}

// escape reads what follows a backslash and stays on its last octet.
func (s *scanner) escape(out []byte) []byte {
	if s.pos >= len(s.data) {
		return out
	}
	c := s.data[s.pos]
	if c >= '0' && c <= '7' {
		value := 0
		end := min(len(s.data), s.pos+3)
		for ; s.pos < end && s.data[s.pos] >= '0' && s.data[s.pos] <= '7'; s.pos++ {
			value = value<<3 | int(s.data[s.pos]-'0')
		}
		s.pos--
		return append(out, byte(value)) //nolint:gosec // high-order overflow is ignored (ISO 32000-2, 7.3.4.2)
	}
	for i := 0; i < len(escapes); i += 2 {
		if escapes[i] == c {
			return append(out, escapes[i+1])
		}
	}
	switch c {
	case '\r':
		if s.pos+1 < len(s.data) && s.data[s.pos+1] == '\n' {
			s.pos++
		}
		return out
	case '\n':
		return out
	}
	return append(out, c)
}

// skipImage goes behind the data of an inline image (ISO 32000-2, 8.9.7): they
// end at an EI that stands between white space.
func (s *scanner) skipImage() {
	for s.pos < len(s.data) {
		i := bytes.Index(s.data[s.pos:], []byte("EI"))
		if i < 0 {
			break
		}
		at := s.pos + i
		s.pos = at + 2
		if at > 0 && isSpace(s.data[at-1]) && (s.pos >= len(s.data) || isSpace(s.data[s.pos])) {
			return
		}
	}
	s.pos = len(s.data)
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

// float reads a number; what is none is zero.
func float(o pdf.Object) float64 {
	switch v := o.(type) {
	case int64:
		return float64(v)
	case pdf.Real:
		value, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return 0
		}
		return value
	default:
		return 0
	}
}
