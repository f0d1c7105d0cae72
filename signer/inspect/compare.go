package inspect

import (
	"bufio"
	"io"
	"maps"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// keys gives the keys of both dictionaries, in order.
func keys(a, b pdf.Dict) []pdf.Name {
	all := maps.Clone(a)
	if all == nil {
		all = pdf.Dict{}
	}
	maps.Copy(all, b)
	return all.Keys()
}

// pair is a value of the older revision and its counterpart.
type pair struct{ a, b pdf.Object }

// differs says whether two values are not the same through and through. What it
// has compared once it takes for compared, so a difference has to be told.
func (d *differ) differs(a, b pdf.Object) bool { return d.walk(pair{a, b}, d.seen, false) }

// probe is differs where a difference may be permitted: it remembers nothing.
func (d *differ) probe(a, b pdf.Object) bool {
	return d.walk(pair{a, b}, map[[2]pdf.Ref]bool{}, false)
}

// grown says whether the newer value holds all of the older: dictionaries may
// have more keys, arrays more members, numbers that count may be greater.
func (d *differ) grown(a, b pdf.Object) bool {
	return !d.walk(pair{a, b}, map[[2]pdf.Ref]bool{}, true)
}

// walk compares with a stack of its own: chains of references may be long.
func (d *differ) walk(first pair, seen map[[2]pdf.Ref]bool, growing bool) bool {
	for stack := []pair{first}; len(stack) > 0; {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if d.steps++; d.steps > maxSteps {
			return true
		}
		ra, isA := p.a.(pdf.Ref)
		rb, isB := p.b.(pdf.Ref)
		if isA && d.anchors[ra] || isB && d.anchors[rb] {
			if !isA || !isB || ra != rb {
				return true
			}
			continue
		}
		if isA && isB {
			if seen[[2]pdf.Ref{ra, rb}] {
				continue
			}
			seen[[2]pdf.Ref{ra, rb}] = true
		}
		a, errA := d.old.file.Resolve(p.a)
		b, errB := d.new.file.Resolve(p.b)
		if fatal(errA) || fatal(errB) {
			d.old.fail(errA)
			d.new.fail(errB)
			return true
		}
		if errA != nil || errB != nil {
			if errA != nil && errB != nil && ra == rb {
				continue // what cannot be read has not become readable
			}
			return true
		}
		var same bool
		if stack, same = d.step(stack, pair{a, b}, growing); !same {
			return true
		}
	}
	return false
}

// step compares two resolved values and puts what they hold on the stack.
func (d *differ) step(stack []pair, p pair, growing bool) ([]pair, bool) {
	switch a := p.a.(type) {
	case nil:
		return stack, p.b == nil || growing
	case pdf.Dict:
		b, ok := p.b.(pdf.Dict)
		return d.dicts(stack, a, b), ok
	case pdf.Array:
		b, ok := p.b.(pdf.Array)
		if !ok || len(a) > len(b) || len(a) < len(b) && !growing {
			return stack, false
		}
		if growing && len(a) < len(b) && !startsWith(a, b) {
			return stack, false
		}
		for i := range a {
			stack = append(stack, pair{a[i], b[i]})
		}
		return stack, true
	case *pdf.Stream:
		b, ok := p.b.(*pdf.Stream)
		if !ok || !d.sameData(a, b) {
			return stack, false
		}
		return d.dicts(stack, a.Dict, b.Dict), true
	case int64, pdf.Real:
		switch p.b.(type) {
		case int64, pdf.Real:
			return stack, float(p.a) == float(p.b) || growing && float(p.a) < float(p.b)
		}
		return stack, false
	default: // bool, Name, String
		return stack, p.a == p.b
	}
}

func (d *differ) dicts(stack []pair, a, b pdf.Dict) []pair {
	for _, key := range keys(a, b) {
		stack = append(stack, pair{a[key], b[key]})
	}
	return stack
}

// startsWith says whether the members that are references are the same ones:
// an array that grows keeps what it has in its place.
func startsWith(a, b pdf.Array) bool {
	return slices.EqualFunc(a, b[:len(a)], func(x, y pdf.Object) bool {
		rx, isX := x.(pdf.Ref)
		ry, isY := y.(pdf.Ref)
		return isX == isY && rx == ry
	})
}

// sameData compares the octets of two streams. Those that stand at the same place
// are the same: the older file is the beginning of the newer.
func (d *differ) sameData(a, b *pdf.Stream) bool {
	atA, lengthA := a.Extent()
	atB, lengthB := b.Extent()
	if lengthA != lengthB {
		return false
	}
	if atA == atB {
		return true
	}
	readA, readB := bufio.NewReader(d.old.file.Raw(a)), bufio.NewReader(d.new.file.Raw(b))
	for {
		x, errX := readA.ReadByte()
		y, errY := readB.ReadByte()
		if x != y || (errX == nil) != (errY == nil) {
			return false
		}
		if errX != nil {
			if errX != io.EOF {
				d.old.fail(errX)
				return false
			}
			return true
		}
	}
}
