package inspect

import (
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// form judges the fields: whether they show what they hold, and where a
// signature would be seen.
func (i *inspector) form() {
	shownOn := map[pdf.Ref]int{}
	for number, page := range i.pages {
		for _, o := range i.array(page.Dict["Annots"]) {
			if ref, ok := o.(pdf.Ref); ok {
				shownOn[ref] = number + 1
			}
		}
	}
	for _, n := range i.fields {
		switch {
		case !n.isWidget():
		case n.kind == "Sig":
			i.place(n, shownOn[n.ref])
		case i.integer(n.dict["F"])&(flagHidden|flagNoView) == 0:
			i.value(n)
		}
	}
}

// value compares what a widget shows with what its field holds.
func (i *inspector) value(n *field) {
	where := "field " + n.name
	if n.kind == "Btn" {
		if n.flags&flagPushbutton == 0 && i.stateDiffers(n) {
			i.found(policies.FindingFieldDiffers, where)
		}
		return
	}
	switch i.agreement(n) {
	case differing:
		i.found(policies.FindingFieldDiffers, where)
	case formatted:
		i.found(policies.FindingFieldFormatted, where)
	case undrawn:
		i.found(policies.FindingFieldUndrawn, where)
	case agreeing, unknown:
	}
}

// place tells of empty signature fields that nobody would see.
func (i *inspector) place(n *field, page int) {
	if i.get(n.value) != nil {
		return
	}
	where := "field " + n.name
	box := i.box(n.dict["Rect"])
	switch {
	case box.area() == 0:
		i.found(policies.FindingSignatureInvisible, where)
	case page == 0, !box.meets(rectangle(i.pages[page-1].CropBox)):
		i.found(policies.FindingSignatureOffPage, where)
	}
}
