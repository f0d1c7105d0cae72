package inspect

import (
	"github.com/rubrica-firma/rubrica/policies"
)

// form judges the fields: whether they show what they hold, and where a
// signature would be seen.
func (i *inspector) form() {
	shownOn := i.shownOn(i.pages)
	for _, n := range i.fields {
		switch {
		case !n.isWidget():
		case n.kind == "Sig":
			page, shown := shownOn[n.ref]
			i.place(n, page, shown)
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
func (i *inspector) place(n *field, page int, shown bool) {
	if i.get(n.value) != nil {
		return
	}
	where := "field " + n.name
	box := i.box(n.dict["Rect"])
	switch {
	case box.area() == 0:
		i.found(policies.FindingSignatureInvisible, where)
	case !shown, !box.meets(rectangle(i.pages[page].CropBox)):
		i.found(policies.FindingSignatureOffPage, where)
	}
}
