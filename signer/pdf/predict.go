package pdf

import (
	"errors"
	"io"

	"github.com/rubrica-firma/rubrica/policies"
)

// predictor undoes the predictors of TIFF and PNG row by row (ISO 32000-2, 7.4.4.4).
type predictor struct {
	r       io.Reader
	tiff    bool
	pixel   int // octets
	row     []byte
	above   []byte
	pending []byte
	err     error
}

func (f *File) unpredict(r io.Reader, params Dict) (io.Reader, error) {
	values := [4]int64{}
	for i, p := range []struct {
		key    Name
		absent int64
		most   int64
	}{{"Predictor", 1, 15}, {"Columns", 1, 1 << 16}, {"Colors", 1, 32}, {"BitsPerComponent", 8, 16}} {
		v, err := f.Int(params[p.key], p.absent)
		if err != nil {
			return nil, err
		}
		if v < 1 || v > p.most {
			return nil, refuse(policies.DocumentUnsupported, "predictor")
		}
		values[i] = v
	}
	kind, columns, colors, bits := values[0], values[1], values[2], values[3]
	switch {
	case kind == 1:
		return r, nil
	case kind > 2 && kind < 10, kind == 2 && bits != 8:
		return nil, refuse(policies.DocumentUnsupported, "predictor")
	}
	size := int((columns*colors*bits + 7) / 8)
	return &predictor{
		r: r, tiff: kind == 2, pixel: int(max(1, colors*bits/8)),
		row: make([]byte, size+1), above: make([]byte, size),
	}, nil
}

func (p *predictor) Read(b []byte) (int, error) {
	for len(p.pending) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.fill()
	}
	n := copy(b, p.pending)
	p.pending = p.pending[n:]
	return n, nil
}

// fill reads the next row; a row that is cut short is given as far as it goes.
func (p *predictor) fill() {
	row := p.row
	if p.tiff {
		row = row[1:]
	}
	n, err := io.ReadFull(p.r, row)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	p.err = err
	if p.tiff {
		for i := p.pixel; i < n; i++ {
			row[i] += row[i-p.pixel]
		}
		p.pending = row[:n]
		return
	}
	if n < 2 {
		return
	}
	if !p.png(row[0], row[1:n]) {
		p.err = errFilter
		return
	}
	copy(p.above, row[1:n])
	p.pending = row[1:n]
}

func (p *predictor) png(kind byte, row []byte) bool {
	for i := range row {
		left, corner, above := byte(0), byte(0), p.above[i]
		if i >= p.pixel {
			left, corner = row[i-p.pixel], p.above[i-p.pixel]
		}
		switch kind {
		case 0:
		case 1:
			row[i] += left
		case 2:
			row[i] += above
		case 3:
			row[i] += byte((int(left) + int(above)) / 2) //nolint:gosec // a mean of octets
		case 4:
			row[i] += paeth(left, above, corner)
		default:
			return false
		}
	}
	return true
}

func paeth(left, above, corner byte) byte {
	distance := func(v byte) int {
		d := int(left) + int(above) - int(corner) - int(v)
		return max(d, -d)
	}
	switch a, b, c := distance(left), distance(above), distance(corner); {
	case a <= b && a <= c:
		return left
	case b <= c:
		return above
	default:
		return corner
	}
}
