package pades

import (
	"math"
	"slices"
	"strconv"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// look is what a widget shows and where.
type look struct {
	page pdf.Page
	rect pdf.Array
	form pdf.Ref
}

func refuseStamp(reason string) error {
	return policies.Refuse(policies.StampInvalid, "reason", reason)
}

// fresh is the look of a new field: nothing on the first page, or the stamp.
func (d *draft) fresh() (look, error) {
	o := d.options.Stamp
	if o == nil {
		return look{page: d.pages[0], rect: rectangle([4]float64{}), form: d.blank([4]float64{})}, nil
	}
	if o.Place == stamp.InField {
		return look{}, refuseStamp("no field is named")
	}
	number := o.Page
	if number < 0 {
		number += len(d.pages) + 1
	}
	if number == 0 && o.Page == 0 {
		number = 1
	}
	if number < 1 || number > len(d.pages) {
		return look{}, refuseStamp("no such page: " + strconv.Itoa(o.Page))
	}
	return d.draw(d.pages[number-1], *o, [4]float64{})
}

// inField is the look of a widget of the field that is filled.
func (d *draft) inField(id pdf.Ref, w widget) (look, error) {
	o := *d.options.Stamp
	if o.Place != "" && o.Place != stamp.InField {
		return look{}, refuseStamp("a named field has a place already")
	}
	o.Place = stamp.InField
	number, err := d.form.pageOf(id, w.dict, d.pages)
	if err != nil {
		return look{}, err
	}
	if number == 0 {
		return look{}, refuseStamp("the field is on no page")
	}
	return d.draw(d.pages[number-1], o, w.rect)
}

// draw places the stamp on a page and puts it into the update.
func (d *draft) draw(page pdf.Page, o stamp.Options, field [4]float64) (look, error) {
	taken, err := d.taken(page)
	if err != nil {
		return look{}, err
	}
	o.Time = d.options.Time
	placement, err := stamp.Locate(o, stamp.Page{
		Box: page.CropBox, Rotate: page.Rotate, UserUnit: page.UserUnit, Taken: taken, Field: field,
	})
	if err != nil {
		return look{}, refuseStamp(err.Error())
	}
	appearance, err := stamp.New(o, placement.Box)
	if err != nil {
		return look{}, refuseStamp(err.Error())
	}
	d.missing = appearance.Missing
	if d.drawn, err = appearance.AddTo(d.update, placement); err != nil {
		return look{}, refuseStamp(err.Error())
	}
	return look{page: page, rect: rectangle(placement.Rect), form: d.drawn.Form}, nil
}

// taken are the places of signature fields on the page.
func (d *draft) taken(page pdf.Page) ([][4]float64, error) {
	annotations, err := d.file.Array(page.Dict["Annots"])
	if err != nil {
		return nil, err
	}
	var out [][4]float64
	for _, fd := range d.form.fields {
		for _, id := range fd.widgets {
			if fd == d.target || !slices.Contains(annotations, pdf.Object(id)) {
				continue
			}
			w, err := d.form.widget(id)
			if err != nil {
				return nil, err
			}
			if w.shown {
				out = append(out, w.rect)
			}
		}
	}
	return out, nil
}

// blank is an appearance that shows nothing.
func (d *draft) blank(rect [4]float64) pdf.Ref {
	box := rectangle([4]float64{0, 0, rect[2] - rect[0], rect[3] - rect[1]})
	return d.update.AddStream(pdf.Dict{
		"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": box, "Resources": pdf.Dict{},
	}, nil)
}

// rectangle rounds to what no eye can tell apart.
func rectangle(r [4]float64) pdf.Array {
	out := make(pdf.Array, 0, len(r))
	for _, v := range r {
		out = append(out, pdf.Real(strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)))
	}
	return out
}
