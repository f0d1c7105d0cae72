package stamp_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

func TestLocate(t *testing.T) {
	t.Parallel()
	a4 := [4]float64{10, 20, 605, 862}
	for _, c := range []struct {
		name   string
		page   stamp.Page
		rect   [4]float64
		want   [4]float64
		matrix [6]float64
	}{
		{"upright", stamp.Page{Box: a4}, [4]float64{30, 40, 130, 90}, [4]float64{40, 60, 140, 110}, [6]float64{1, 0, 0, 1, 0, 0}},
		{"clockwise", stamp.Page{Box: a4, Rotate: 90}, [4]float64{30, 40, 130, 90}, [4]float64{515, 50, 565, 150}, [6]float64{0, 1, -1, 0, 50, 0}},
		{"upside down", stamp.Page{Box: a4, Rotate: 180}, [4]float64{30, 40, 130, 90}, [4]float64{475, 772, 575, 822}, [6]float64{-1, 0, 0, -1, 100, 50}},
		{"counterclockwise", stamp.Page{Box: a4, Rotate: 270}, [4]float64{30, 40, 130, 90}, [4]float64{50, 732, 100, 832}, [6]float64{0, -1, 1, 0, 0, 100}},
		{"large units", stamp.Page{Box: a4, UserUnit: 2}, [4]float64{30, 40, 130, 90}, [4]float64{25, 40, 75, 65}, [6]float64{1, 0, 0, 1, 0, 0}},
	} {
		o := options()
		o.Place, o.Rect = stamp.FreeRect, c.rect
		got, err := stamp.Locate(o, c.page)
		want := stamp.Placement{Rect: c.want, Matrix: c.matrix, Box: stamp.Box{Width: 100, Height: 50}}
		if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-9)); err != nil || diff != "" {
			t.Errorf("%s: got %v, differences %s", c.name, err, diff)
		}
		// A field there gets the same.
		c.page.Field, o.Place = c.want, stamp.InField
		if got, err := stamp.Locate(o, c.page); err != nil || !cmp.Equal(want, got, cmpopts.EquateApprox(0, 1e-9)) {
			t.Errorf("%s: got %v, %v in a field, want %v", c.name, got, err, want)
		}
	}
}

// Margins are read upwards: the text's own right is the reader's up.
func TestMarginsReadUpwards(t *testing.T) {
	t.Parallel()
	for rotate, want := range map[int][2]float64{0: {0, 1}, 90: {-1, 0}, 180: {0, -1}, 270: {1, 0}} {
		for _, place := range []stamp.Place{stamp.LeftMargin, stamp.RightMargin} {
			o := options()
			o.Place = place
			p, err := stamp.Locate(o, stamp.Page{Box: [4]float64{0, 0, 595, 842}, Rotate: rotate})
			if err != nil {
				t.Fatal(err)
			}
			if got := [2]float64{p.Matrix[0], p.Matrix[1]}; got != want || p.Box.Width < 5*p.Box.Height {
				t.Errorf("%s turned by %d: got direction %v in %v, want %v in a long box", place, rotate, got, p.Box, want)
			}
			// The turned box stays in the first quadrant.
			for _, corner := range [][2]float64{{0, 0}, {p.Box.Width, p.Box.Height}} {
				x := p.Matrix[0]*corner[0] + p.Matrix[2]*corner[1] + p.Matrix[4]
				y := p.Matrix[1]*corner[0] + p.Matrix[3]*corner[1] + p.Matrix[5]
				if x < 0 || y < 0 {
					t.Errorf("%s turned by %d: got corner %.1f,%.1f, want none below zero", place, rotate, x, y)
				}
			}
		}
	}
}

func TestLocateRefuses(t *testing.T) {
	t.Parallel()
	a4 := stamp.Page{Box: [4]float64{0, 0, 595, 842}}
	for _, c := range []struct {
		name  string
		place stamp.Place
		rect  [4]float64
		page  stamp.Page
	}{
		{"no place", "", [4]float64{}, a4},
		{"unknown place", "middle", [4]float64{}, a4},
		{"no rectangle", stamp.FreeRect, [4]float64{}, a4},
		{"turned round", stamp.FreeRect, [4]float64{100, 100, 50, 50}, a4},
		{"beside the page", stamp.FreeRect, [4]float64{500, 100, 600, 150}, a4},
		{"not a number", stamp.FreeRect, [4]float64{math.NaN(), 0, 10, 10}, a4},
		{"a field without extent", stamp.InField, [4]float64{}, a4},
		{"a page without extent", stamp.TopLeft, [4]float64{}, stamp.Page{}},
		{"an endless page", stamp.TopLeft, [4]float64{}, stamp.Page{Box: [4]float64{0, 0, math.Inf(1), 1}}},
		{"a page turned by 45 degrees", stamp.TopLeft, [4]float64{}, stamp.Page{Box: a4.Box, Rotate: 45}},
	} {
		o := options()
		o.Place, o.Rect = c.place, c.rect
		if got, err := stamp.Locate(o, c.page); !errors.Is(err, stamp.ErrPlace) {
			t.Errorf("%s: got %v, %v, want ErrPlace", c.name, got, err)
		}
	}
}

// Stamps in the same place stand side by side as long as the page has room.
func TestManySigners(t *testing.T) {
	t.Parallel()
	for _, place := range []stamp.Place{stamp.TopLeft, stamp.BottomRight, stamp.LeftMargin, stamp.BottomMargin} {
		for _, rotate := range []int{0, 90, 180, 270} {
			page := stamp.Page{Box: [4]float64{0, 0, 595, 842}, Rotate: rotate}
			o := options()
			o.Place = place
			for range 6 {
				p, err := stamp.Locate(o, page)
				if err != nil {
					t.Fatal(err)
				}
				for _, other := range page.Taken {
					if p.Rect[0] < other[2] && other[0] < p.Rect[2] && p.Rect[1] < other[3] && other[1] < p.Rect[3] {
						t.Errorf("%s turned by %d: got %v, want it clear of %v", place, rotate, p.Rect, other)
					}
				}
				page.Taken = append(page.Taken, p.Rect)
			}
		}
	}
}

// A stamp is on the page and as large as its box, on every page where there is room.
func TestStampIsOnThePage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		x, y := rapid.Float64Range(-5000, 5000).Draw(r, "x"), rapid.Float64Range(-5000, 5000).Draw(r, "y")
		page := stamp.Page{
			Box:      [4]float64{x, y, x + rapid.Float64Range(3, 5000).Draw(r, "width"), y + rapid.Float64Range(3, 5000).Draw(r, "height")},
			Rotate:   rapid.SampledFrom([]int{0, 90, 180, 270}).Draw(r, "rotate"),
			UserUnit: rapid.SampledFrom([]float64{0, 1, 0.5, 10}).Draw(r, "unit"),
		}
		o := options()
		o.Place = rapid.SampledFrom([]stamp.Place{
			stamp.TopLeft, stamp.TopRight, stamp.BottomLeft, stamp.BottomRight,
			stamp.LeftMargin, stamp.RightMargin, stamp.TopMargin, stamp.BottomMargin,
		}).Draw(r, "place")
		p, err := stamp.Locate(o, page)
		if errors.Is(err, stamp.ErrNoRoom) {
			return
		}
		if err != nil {
			r.Fatal(err)
		}
		const e = 1e-6
		b := page.Box
		if p.Rect[0] < b[0]-e || p.Rect[1] < b[1]-e || p.Rect[2] > b[2]+e || p.Rect[3] > b[3]+e || p.Rect[0] >= p.Rect[2] || p.Rect[1] >= p.Rect[3] {
			r.Errorf("got %v, want it on the page %v", p.Rect, b)
		}
		width, height := p.Box.Width, p.Box.Height
		if p.Matrix[0] == 0 {
			width, height = height, width
		}
		unit := page.UserUnit
		if unit == 0 {
			unit = 1
		}
		if math.Abs((p.Rect[2]-p.Rect[0])*unit-width) > e || math.Abs((p.Rect[3]-p.Rect[1])*unit-height) > e {
			r.Errorf("got rectangle %v for box %v turned by %v, want the same size", p.Rect, p.Box, p.Matrix)
		}
	})
}

func TestPageOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ media, crop, want [4]float64 }{
		{[4]float64{0, 0, 595, 842}, [4]float64{0, 0, 595, 842}, [4]float64{0, 0, 595, 842}},
		{[4]float64{0, 0, 595, 842}, [4]float64{-50, 10, 500, 900}, [4]float64{0, 10, 500, 842}},
		{[4]float64{0, 0, 595, 842}, [4]float64{600, 0, 700, 842}, [4]float64{0, 0, 595, 842}},
	} {
		got := stamp.PageOf(pdf.Page{MediaBox: c.media, CropBox: c.crop, Rotate: 90, UserUnit: 2})
		if want := (stamp.Page{Box: c.want, Rotate: 90, UserUnit: 2}); !cmp.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// Options travel to the document worker as JSON.
func TestOptionsAsJSON(t *testing.T) {
	t.Parallel()
	want := options()
	want.Rect, want.Labels = [4]float64{1, 2, 3, 4}, stamp.Labels{SignedBy: "Signat per"}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got stamp.Options
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differences %s", diff)
	}
}
