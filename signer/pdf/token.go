package pdf

import (
	"bytes"
	"encoding/hex"
	"slices"
)

// number gives int64, Real, or nil for what is no number.
func number(word []byte) Object {
	digits, points := 0, 0
	n := int64(0)
	for i, c := range word {
		switch {
		case c >= '0' && c <= '9':
			digits++
			n = n*10 + int64(c-'0')
		case c == '.':
			points++
		case (c == '+' || c == '-') && i == 0:
		default:
			return nil
		}
	}
	switch {
	case digits == 0 || points > 1 || len(word) > 32:
		return nil
	case points == 1:
		return Real(word)
	case digits > 18:
		return nil
	case word[0] == '-':
		return -n
	default:
		return n
	}
}

func (l *lexer) name() (any, error) {
	raw := l.regular()
	if err := l.spend(len(raw)); err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '#' {
			out = append(out, raw[i])
			continue
		}
		if i+2 >= len(raw) {
			return nil, errSyntax
		}
		high, low := nibble(raw[i+1]), nibble(raw[i+2])
		if high < 0 || low < 0 || high+low == 0 {
			return nil, errSyntax
		}
		out, i = append(out, byte(high<<4|low)), i+2 //nolint:gosec // two nibbles
	}
	return Name(out), nil
}

func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}

// hexadecimal reads a string in hexadecimal (ISO 32000-2, 7.3.4.3). That of a
// signature is most of what there is to read of a signed document, so that pairs
// of digits are taken together, up to what is none.
func (l *lexer) hexadecimal() (any, error) {
	var out []byte
	high := -1
	for {
		c, ok := l.peek()
		if !ok {
			return nil, l.atEnd()
		}
		if high < 0 {
			run := l.data[l.pos:min(l.pos+hexRun, len(l.data))]
			if end := bytes.IndexByte(run, '>'); end >= 0 {
				run = run[:end]
			}
			if cap(out)-len(out) < len(run)/2 {
				out = slices.Grow(out, l.upTo('>')/2)
			}
			before := len(out)
			out, _ = hex.AppendDecode(out, run[:len(run)&^1])
			if n := len(out) - before; n > 0 {
				l.pos += 2 * n
				continue
			}
		}
		l.pos++
		if isSpace(c) {
			continue
		}
		if c == '>' {
			break
		}
		digit := nibble(c)
		switch {
		case digit < 0:
			return nil, errSyntax
		case high < 0:
			high = digit
		default:
			out, high = append(out, byte(high<<4|digit)), -1 //nolint:gosec // two nibbles
		}
	}
	if high >= 0 {
		out = append(out, byte(high<<4)) //nolint:gosec // a nibble
	}
	return String(out), l.spend(2 * len(out))
}

// hexRun bounds a run: where there are spaces between all digits, what a run
// costs is lost each time.
const hexRun = 256

// upTo is how many octets stand before an octet, or before the end of the block.
func (l *lexer) upTo(c byte) int {
	if n := bytes.IndexByte(l.data[l.pos:], c); n >= 0 {
		return n
	}
	return len(l.data) - l.pos
}

// literal reads a string in parentheses (ISO 32000-2, 7.3.4.2).
func (l *lexer) literal() (any, error) {
	var out []byte
	for depth := 0; ; {
		c, ok := l.peek()
		if !ok {
			return nil, l.atEnd()
		}
		l.pos++
		switch c {
		case '(':
			if depth++; depth == 1 {
				continue
			}
		case ')':
			if depth--; depth == 0 {
				return String(out), l.spend(2 * len(out))
			}
		case '\\':
			out = l.escape(out)
			continue
		case '\r':
			l.take('\n')
			c = '\n'
		}
		out = append(out, c)
		plain := l.pos
		for l.pos < len(l.data) && l.data[l.pos] != '(' && l.data[l.pos] != ')' && l.data[l.pos] != '\\' && l.data[l.pos] != '\r' {
			l.pos++
		}
		out = append(out, l.data[plain:l.pos]...)
	}
}

func (l *lexer) escape(out []byte) []byte {
	c, ok := l.peek()
	if !ok {
		return out
	}
	l.pos++
	switch c {
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case '\n':
		return out
	case '\r':
		l.take('\n')
		return out
	}
	if c < '0' || c > '7' {
		return append(out, c)
	}
	value := int(c - '0')
	for range 2 {
		c, ok := l.peek()
		if !ok || c < '0' || c > '7' {
			break
		}
		value = value<<3 | int(c-'0')
		l.pos++
	}
	return append(out, byte(value&0xff)) // ISO 32000-2, 7.3.4.2: high-order overflow is ignored
}
