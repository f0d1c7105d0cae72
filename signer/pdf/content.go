package pdf

import (
	"bytes"
	"iter"
)

// maxOperands bounds the operands of one operator; those before are dropped.
const maxOperands = 1024

// Parse reads one direct object, and says how many octets it took. References
// are recognised.
func Parse(b []byte) (Object, int, error) {
	l := memoryLexer(b)
	o, err := l.object(0)
	return o, l.pos, err
}

// Operators gives the operators of a content stream (ISO 32000-2, 7.8.2) with
// their operands. An inline image comes as BI with its dictionary. It ends at
// what it cannot read. The operands serve until the next step.
func Operators(data []byte) iter.Seq2[string, []Object] {
	return func(yield func(string, []Object) bool) {
		l := memoryLexer(data)
		var operands []Object
		for {
			// What one operator holds is bounded, not what all do.
			if len(operands) == 0 {
				l.cost = 0
			}
			token, err := l.token(0)
			if err != nil {
				return
			}
			word, isWord := token.(keyword)
			if o, err := l.operand(token); err == nil {
				if operands = append(operands, o); len(operands) > maxOperands {
					operands = operands[1:]
				}
				continue
			}
			if !isWord {
				return
			}
			if word == "BI" {
				operands = append(operands[:0], l.inlineImage())
			}
			if !yield(string(word), operands) {
				return
			}
			operands = operands[:0]
		}
	}
}

// operand is the object that a token is; content has no references.
func (l *lexer) operand(token any) (Object, error) {
	if n, ok := token.(int64); ok {
		return n, nil
	}
	return l.value(token)
}

// inlineImage passes an image up to its EI and gives its dictionary (ISO 32000-2, 8.9.7).
func (l *lexer) inlineImage() Dict {
	d := Dict{}
	for {
		token, err := l.token(0)
		if err != nil || token == keyword("ID") {
			break
		}
		key, ok := token.(Name)
		if !ok {
			break
		}
		if d[key], err = l.object(0); err != nil {
			break
		}
	}
	for {
		i := bytes.Index(l.data[l.pos:], []byte("EI"))
		if i < 0 {
			l.pos = len(l.data)
			return d
		}
		start := l.pos + i
		l.pos = start + 2
		next, more := l.peek()
		if start > 0 && isSpace(l.data[start-1]) && (!more || isSpace(next)) {
			return d
		}
	}
}
