package pades

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
)

// errSyntax is any departure from the syntax of ISO 32000-2, 7.2 and 7.3. No
// repair is tried: what one reader repairs, another shows differently.
var errSyntax = errors.New("PDF syntax")

// maxNesting bounds arrays and dictionaries inside each other.
const maxNesting = 64

// lexer reads objects from data at pos.
type lexer struct {
	data []byte
	pos  int
}

// keyword is a token that is no object: obj, endobj, stream, R, xref …
type keyword string

// closing marks the end of an array or a dictionary.
type closing string

func (l *lexer) skipSpace() {
	for l.pos < len(l.data) {
		switch c := l.data[l.pos]; {
		case isSpace(c):
			l.pos++
		case c == '%':
			for l.pos < len(l.data) && l.data[l.pos] != '\n' && l.data[l.pos] != '\r' {
				l.pos++
			}
		default:
			return
		}
	}
}

// object reads one object; references are recognised.
func (l *lexer) object(depth int) (object, error) {
	token, err := l.token(depth)
	if err != nil {
		return nil, err
	}
	return l.value(token)
}

// value is the object that begins with a token.
func (l *lexer) value(token any) (object, error) {
	switch v := token.(type) {
	case int64:
		return l.reference(v), nil
	case keyword:
		switch v {
		case "true":
			return true, nil
		case "false":
			return false, nil
		case "null":
			return nil, nil
		default:
			return nil, errSyntax
		}
	case closing:
		return nil, errSyntax
	default:
		return token, nil
	}
}

// reference looks whether an integer begins "n g R".
func (l *lexer) reference(number int64) object {
	start := l.pos
	if number >= 0 && number <= maxObjects {
		generation, err := l.integer()
		if err == nil && generation >= 0 && generation <= 65535 {
			if token, err := l.token(maxNesting); err == nil && token == keyword("R") {
				return ref{int(number), int(generation)}
			}
		}
	}
	l.pos = start
	return number
}

func (l *lexer) integer() (int64, error) {
	l.skipSpace()
	if l.pos >= len(l.data) || isDelimiter(l.data[l.pos]) {
		return 0, errSyntax
	}
	n, ok := number(l.regular()).(int64)
	if !ok {
		return 0, errSyntax
	}
	return n, nil
}

// want reads a keyword.
func (l *lexer) want(word keyword) error {
	if token, err := l.token(maxNesting); err != nil || token != word {
		return errSyntax
	}
	return nil
}

// token reads an object without looking for references, a keyword or a closing bracket.
func (l *lexer) token(depth int) (any, error) {
	l.skipSpace()
	if l.pos >= len(l.data) {
		return nil, errSyntax
	}
	rest := l.data[l.pos:]
	switch c := rest[0]; {
	case c == '/':
		l.pos++
		return l.name()
	case c == '(':
		return l.literal()
	case bytes.HasPrefix(rest, []byte("<<")):
		l.pos += 2
		return l.dict(depth + 1)
	case c == '<':
		return l.hexadecimal()
	case c == '[':
		l.pos++
		return l.array(depth + 1)
	case c == ']':
		l.pos++
		return closing("]"), nil
	case bytes.HasPrefix(rest, []byte(">>")):
		l.pos += 2
		return closing(">>"), nil
	case isDelimiter(c):
		return nil, errSyntax
	}
	word := l.regular()
	if n := number(word); n != nil {
		return n, nil
	}
	return keyword(word), nil
}

// regular reads up to the next space or delimiter.
func (l *lexer) regular() []byte {
	start := l.pos
	for l.pos < len(l.data) && !isSpace(l.data[l.pos]) && !isDelimiter(l.data[l.pos]) {
		l.pos++
	}
	return l.data[start:l.pos]
}

// number gives int64, real, or nil for what is no number.
func number(word []byte) object {
	digits, points := 0, 0
	for i, c := range word {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			points++
		case (c == '+' || c == '-') && i == 0:
		default:
			return nil
		}
	}
	if digits == 0 || points > 1 || len(word) > 32 {
		return nil
	}
	if points == 1 {
		return real(word)
	}
	if n, err := strconv.ParseInt(string(word), 10, 64); err == nil {
		return n
	}
	return nil
}

func (l *lexer) name() (any, error) {
	raw := l.regular()
	if !bytes.Contains(raw, []byte{'#'}) {
		return name(raw), nil
	}
	var out []byte
	for i := 0; i < len(raw); i++ {
		if raw[i] != '#' {
			out = append(out, raw[i])
			continue
		}
		if i+2 >= len(raw) {
			return nil, errSyntax
		}
		decoded, err := hex.DecodeString(string(raw[i+1 : i+3]))
		if err != nil || decoded[0] == 0 {
			return nil, errSyntax
		}
		out, i = append(out, decoded[0]), i+2
	}
	return name(out), nil
}

func (l *lexer) array(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errSyntax
	}
	out := array{}
	for {
		token, err := l.token(depth)
		if err != nil {
			return nil, err
		}
		if token == closing("]") {
			return out, nil
		}
		member, err := l.value(token)
		if err != nil {
			return nil, err
		}
		out = append(out, member)
	}
}

func (l *lexer) dict(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errSyntax
	}
	out := dict{}
	for {
		token, err := l.token(depth)
		if err != nil {
			return nil, err
		}
		if token == closing(">>") {
			return out, nil
		}
		key, ok := token.(name)
		if !ok {
			return nil, errSyntax
		}
		value, err := l.object(depth)
		if err != nil {
			return nil, err
		}
		// Readers differ on which of two equal keys counts.
		if _, twice := out[key]; twice {
			return nil, errSyntax
		}
		out[key] = value
	}
}

func (l *lexer) hexadecimal() (any, error) {
	end := bytes.IndexByte(l.data[l.pos:], '>')
	if end < 0 {
		return nil, errSyntax
	}
	digits := bytes.Map(func(r rune) rune {
		if r < 0x80 && isSpace(byte(r)) { //nolint:gosec // below 0x80
			return -1
		}
		return r
	}, l.data[l.pos+1:l.pos+end])
	l.pos += end + 1
	if len(digits)%2 == 1 {
		digits = append(digits, '0')
	}
	out, err := hex.AppendDecode(nil, digits)
	if err != nil {
		return nil, errSyntax
	}
	return text(out), nil
}

// literal reads a string in parentheses (ISO 32000-2, 7.3.4.2).
func (l *lexer) literal() (any, error) {
	var out []byte
	depth := 0
	for l.pos < len(l.data) {
		c := l.data[l.pos]
		l.pos++
		switch c {
		case '(':
			if depth++; depth == 1 {
				continue
			}
		case ')':
			if depth--; depth == 0 {
				return text(out), nil
			}
		case '\\':
			out = l.escape(out)
			continue
		case '\r':
			if l.pos < len(l.data) && l.data[l.pos] == '\n' {
				l.pos++
			}
			c = '\n'
		}
		out = append(out, c)
	}
	return nil, errSyntax
}

func (l *lexer) escape(out []byte) []byte {
	if l.pos >= len(l.data) {
		return out
	}
	c := l.data[l.pos]
	l.pos++
	if at := bytes.IndexByte([]byte("nrtbf"), c); at >= 0 {
		return append(out, "\n\r\t\b\f"[at])
	}
	switch {
	case c == '\n':
		return out
	case c == '\r':
		if l.pos < len(l.data) && l.data[l.pos] == '\n' {
			l.pos++
		}
		return out
	case c >= '0' && c <= '7':
		value := int(c - '0')
		for range 2 {
			if l.pos >= len(l.data) || l.data[l.pos] < '0' || l.data[l.pos] > '7' {
				break
			}
			value = value<<3 | int(l.data[l.pos]-'0')
			l.pos++
		}
		return append(out, byte(value))
	default:
		return append(out, c)
	}
}
