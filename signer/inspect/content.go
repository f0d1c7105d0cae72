package inspect

import (
	"iter"
	"strconv"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// operation is one operator of a content stream with its operands
// (ISO 32000-2, 7.8.2), which serve until the next.
type operation struct {
	operator string
	operands []pdf.Object
}

// operations reads a content stream up to what cannot be read: viewers differ
// on the rest.
func operations(data []byte) iter.Seq[operation] {
	return func(yield func(operation) bool) {
		for operator, operands := range pdf.Operators(data) {
			if !yield(operation{operator, operands}) {
				return
			}
		}
	}
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
