package pdf_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

func TestPages(t *testing.T) {
	t.Parallel()
	f := open(t, []byte(classic("", catalog,
		"<</Type/Pages/Kids[3 0 R 4 0 R 7 0 R]/Count 99/MediaBox[0 0 100 200]/Resources 9 0 R>>",
		"<</Type/Page/Parent 2 0 R>>",
		"<</Type/Pages/Parent 2 0 R/Kids[5 0 R 6 0 R]/Rotate -90/CropBox[50 50 500 500]>>",
		"<</Type/Page/Parent 4 0 R/Resources<<>>>>",
		"<</Parent 4 0 R/Rotate 450/MediaBox[10 20 -10 8 0 R]/UserUnit 2.5>>",
		"<</Type/Page/MediaBox[0 0 0 0]/CropBox(x)/Rotate 45>>",
		"-20",
	)))
	got, err := f.Pages()
	if err != nil {
		t.Fatal(err)
	}
	inherited := pdf.Ref{Number: 9}
	want := []pdf.Page{
		{Ref: pdf.Ref{Number: 3}, MediaBox: [4]float64{0, 0, 100, 200}, CropBox: [4]float64{0, 0, 100, 200}, UserUnit: 1, Resources: inherited},
		{Ref: pdf.Ref{Number: 5}, MediaBox: [4]float64{0, 0, 100, 200}, CropBox: [4]float64{50, 50, 100, 200}, Rotate: 270, UserUnit: 1, Resources: pdf.Dict{}},
		{Ref: pdf.Ref{Number: 6}, MediaBox: [4]float64{-10, -20, 10, 20}, CropBox: [4]float64{-10, -20, 10, 20}, Rotate: 90, UserUnit: 2.5, Resources: inherited},
		{Ref: pdf.Ref{Number: 7}, MediaBox: [4]float64{0, 0, 595, 842}, CropBox: [4]float64{0, 0, 595, 842}, UserUnit: 1, Resources: inherited},
	}
	for i := range got {
		got[i].Dict = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for number, place := range map[int]int{1: 0, 2: 1, 4: 3, -1: 3, -4: 0} {
		p, ok, err := f.Page(number)
		if err != nil || !ok || p.Ref != want[place].Ref {
			t.Errorf("page %d: got %v %v %v, want %v", number, p.Ref, ok, err, want[place].Ref)
		}
	}
	for _, number := range []int{0, 5, -5} {
		if p, ok, err := f.Page(number); ok || err != nil {
			t.Errorf("page %d: got %v %v, want none", number, p.Ref, err)
		}
	}
	if width, height := got[1].Size(); width != 150 || height != 50 {
		t.Errorf("got %v by %v, want the crop box turned", width, height)
	}
}

func TestPageTreeRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		objects []string
		code    policies.Code
	}{
		"none":        {[]string{catalog, "<</Type/Pages/Kids[]/Count 3>>"}, policies.DocumentDamaged},
		"missing":     {[]string{catalog}, policies.DocumentDamaged},
		"loop":        {[]string{catalog, "<</Type/Pages/Kids[2 0 R]>>"}, policies.DocumentDamaged},
		"long loop":   {[]string{catalog, "<</Type/Pages/Kids[3 0 R]>>", "<</Type/Pages/Kids[2 0 R]>>"}, policies.DocumentDamaged},
		"page twice":  {[]string{catalog, "<</Type/Pages/Kids[3 0 R 3 0 R]>>", page}, policies.DocumentDamaged},
		"direct page": {[]string{catalog, "<</Type/Pages/Kids[<</Type/Page>>]>>"}, policies.DocumentDamaged},
		"a font":      {[]string{catalog, pages, "<</Type/Font>>"}, policies.DocumentDamaged},
		"kids":        {[]string{catalog, "<</Type/Pages/Kids 3 0 R>>", "(kids)"}, policies.DocumentDamaged},
		"too many": {
			[]string{catalog, "<</Type/Pages/Kids[" + strings.Repeat("3 0 R ", 50_000) + "]>>", page},
			policies.DocumentTooComplex,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, []byte(classic("", c.objects...))).Pages()
			wantRefusal(t, err, c.code)
		})
	}
}

// TestDeepPageTree walks a tree that is a list, without the stack.
func TestDeepPageTree(t *testing.T) {
	t.Parallel()
	const depth = 10_000
	objects := []string{catalog}
	for i := range depth {
		objects = append(objects, fmt.Sprintf("<</Type/Pages/Kids[%d 0 R]/Rotate %d>>", i+3, 90*i))
	}
	objects = append(objects, page)
	list, err := open(t, []byte(classic("", objects...))).Pages()
	if err != nil || len(list) != 1 {
		t.Errorf("got %d pages, %v, want one", len(list), err)
	}
}
