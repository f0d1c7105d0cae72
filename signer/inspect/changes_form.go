package inspect

import (
	"slices"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// form compares the interactive form.
func (d *differ) form(older, newer pdf.Dict) {
	for _, key := range keys(older, newer) {
		switch key {
		case "Fields", "SigFlags":
		case "NeedAppearances":
			// Viewers would draw every field anew.
			if d.new.truth(newer[key]) && !d.old.truth(older[key]) {
				d.forbid(FormChanged, "/NeedAppearances")
			}
		case "DR":
			d.resources(d.old.dict(older[key]), d.new.dict(newer[key]))
		case "DA":
			if older[key] != nil && d.differs(older[key], newer[key]) {
				d.forbid(FormChanged, "/DA")
			}
		default:
			if d.differs(older[key], newer[key]) {
				d.forbid(FormChanged, "/"+string(key))
			}
		}
	}
	before, now := byKey(d.oldFields), byKey(d.newFields)
	for _, n := range d.oldFields {
		if successor := now[n.key()]; successor != nil {
			d.field(n, successor)
		} else {
			d.forbid(FieldRemoved, "field "+n.name)
		}
	}
	for _, n := range d.newFields {
		if before[n.key()] == nil {
			d.added(n)
		}
	}
	// Fields are drawn and calculated in their order.
	if !slices.Equal(common(d.oldFields, now), common(d.newFields, before)) {
		d.forbid(FormChanged, "/Fields")
	}
}

func byKey(fields []*field) map[any]*field {
	m := make(map[any]*field, len(fields))
	for _, n := range fields {
		m[n.key()] = n
	}
	return m
}

// common lists the keys of those fields that the other revision has too.
func common(fields []*field, other map[any]*field) []any {
	var out []any
	for _, n := range fields {
		if other[n.key()] != nil {
			out = append(out, n.key())
		}
	}
	return out
}

// resources of the form may get new names. What a name meant it has to mean.
func (d *differ) resources(older, newer pdf.Dict) {
	for _, category := range older.Keys() {
		was, is := d.old.get(older[category]), d.new.get(newer[category])
		named, ok := was.(pdf.Dict)
		others, both := is.(pdf.Dict)
		if !ok || !both {
			if d.differs(older[category], newer[category]) {
				d.forbid(FormChanged, "/DR /"+string(category))
			}
			continue
		}
		for _, name := range named.Keys() {
			if d.differs(named[name], others[name]) {
				d.forbid(FormChanged, "/DR /"+string(category)+" /"+string(name))
			}
		}
	}
}

// filling is what changes in a field, or in its widgets, when it is filled in
// or signed. Everything else says where and how it is.
func filling() []pdf.Name { return []pdf.Name{"V", "AP", "AS", "I", "RV", "Ff", "F", "M"} }

// field compares a field or widget with what became of it.
func (d *differ) field(older, newer *field) {
	where := "field " + older.name
	for _, key := range keys(older.dict, newer.dict) {
		switch {
		case key == "Kids", slices.Contains(filling(), key):
		case key == "Parent":
			if parentKey(older) != parentKey(newer) {
				d.forbid(FieldChanged, where+" /Parent")
			}
		default:
			if d.differs(older.dict[key], newer.dict[key]) {
				d.forbid(FieldChanged, where+" /"+string(key))
			}
		}
	}
	changed := d.changedKeys(older, newer)
	filled := d.probe(older.value, newer.value)
	switch {
	case len(changed) == 0 && !filled:
	case older.kind == "Sig":
		d.signing(older, newer, where)
	default:
		d.fill(older, newer, changed)
	}
}

func parentKey(n *field) any {
	if n.parent == nil {
		return nil
	}
	return n.parent.key()
}

func (d *differ) changedKeys(older, newer *field) []pdf.Name {
	var changed []pdf.Name
	for _, key := range filling() {
		if d.probe(older.dict[key], newer.dict[key]) {
			changed = append(changed, key)
		}
	}
	return changed
}

// signing: an empty signature field was signed. One that held a signature
// holds it for ever.
func (d *differ) signing(older, newer *field, where string) {
	switch {
	case d.old.get(older.value) != nil:
		d.forbid(SignatureChanged, where)
	case d.new.get(newer.value) == nil:
		d.forbid(FieldChanged, where)
	case d.permitted.locked(older.name) && !d.new.isTimeStamp(d.new.dict(newer.value)):
		d.forbid(SignatureAdded, where+" is locked")
	default:
		d.signature(newer, where)
	}
}

// added judges a field that was not there before: only signatures are.
func (d *differ) added(n *field) {
	where := "field " + n.name
	switch {
	case n.kind == "Sig":
		d.signature(n, where)
	case n.kind == "" && len(n.kids) > 0 && !n.isWidget():
		// A name under which signature fields stand; its kids are judged.
	default:
		d.forbid(FieldAdded, where)
	}
}

// signature judges a new signature, time-stamp, or field for one.
func (d *differ) signature(n *field, where string) {
	if n.parent != nil && n.dict["T"] == nil {
		// A widget of a signature field that is judged itself.
		d.cover(n, SignatureAdded, where)
		return
	}
	value := d.new.dict(n.value)
	switch {
	case len(value) == 0 && d.permitted.Level == 1:
		d.forbid(SignatureFieldAdded, where)
	case len(value) == 0:
		d.cover(n, SignatureFieldAdded, where)
	case d.new.coverage(signed{n, value, asRef(n.value)}) < d.old.file.Size():
		d.forbid(SignatureAdded, where+" covers less than it claims")
	case d.new.isTimeStamp(value):
		// ISO 32000-2, 12.8.2.2: time-stamps and DSS change no document, whatever P says.
		d.cover(n, TimeStampAdded, where)
	case d.permitted.Level == 1:
		d.forbid(SignatureAdded, where)
	default:
		d.cover(n, SignatureAdded, where)
	}
}

func asRef(o pdf.Object) pdf.Ref {
	ref, ok := o.(pdf.Ref)
	if !ok {
		return pdf.Ref{}
	}
	return ref
}

// cover judges what a new field draws. A signature's mark is expected, one that
// lies over the text is not (sneaky signatures), nor one that fills the page,
// nor a drawing in a field that nobody has signed.
func (d *differ) cover(n *field, kind Kind, where string) {
	appearance := d.new.appearance(n.dict)
	box := d.new.box(n.dict["Rect"])
	if appearance == nil || box.area() == 0 || d.new.integer(n.dict["F"])&(flagHidden|flagNoView) != 0 {
		d.tell(kind, Permitted, where)
		return
	}
	if d.permitted.Level == 1 {
		d.forbid(kind, where+" is drawn")
		return
	}
	judgement := Permitted
	if kind == SignatureFieldAdded && len(d.new.data(appearance, maxContent)) > 0 || d.hides(n, appearance, box) {
		judgement = Suspect
	}
	d.tell(kind, judgement, where)
}

// A signature's mark may take a quarter of a page, and on small pages half of
// a hand's breadth by a hand's length (square points).
const (
	largest    = 0.25
	largeStamp = 60_000
)

func (d *differ) hides(n *field, appearance *pdf.Stream, box rectangle) bool {
	index := d.pageOf(n.ref)
	if index < 0 {
		return false
	}
	page := d.newPages[index]
	if box.area() > max(largeStamp, largest*rectangle(page.CropBox).area()) {
		return true
	}
	return d.new.opaque(appearance) && d.new.covered(d.marks(index), box) > 0
}

// pageOf gives the index of the page that shows an annotation, or -1.
func (d *differ) pageOf(annotation pdf.Ref) int {
	if d.shownOn == nil {
		d.shownOn = d.new.shownOn(d.newPages)
	}
	if page, shown := d.shownOn[annotation]; shown {
		return page
	}
	return -1
}

// marks are what the page said when it was signed.
func (d *differ) marks(index int) []point {
	if index >= len(d.oldPages) {
		return nil
	}
	if d.drawn == nil {
		d.drawn = map[int][]point{}
	}
	if _, known := d.drawn[index]; !known {
		d.drawn[index] = d.old.marksOf(d.oldPages[index])
	}
	return d.drawn[index]
}

// fill judges a field that was filled in.
func (d *differ) fill(older, newer *field, changed []pdf.Name) {
	where := "field " + older.name
	onlyReadOnly := slices.Equal(changed, []pdf.Name{"Ff"}) && older.flags|flagReadOnly == newer.flags
	switch {
	case onlyReadOnly:
		d.tell(FormFilled, Permitted, where+" is read-only")
	case d.permitted.Level == 1, d.permitted.locked(older.name):
		d.forbid(FormFilled, where)
	case slices.Contains(changed, "F"), older.flags|flagReadOnly != newer.flags|flagReadOnly,
		older.kind == "Btn" && older.flags&flagPushbutton != 0:
		d.forbid(FieldChanged, where)
	case older.kind == "Btn":
		d.button(older, newer, where)
	default:
		d.written(older, newer, where)
	}
}

// button: what a box looks like in each state has to stay; its state has to be
// its value.
func (d *differ) button(older, newer *field, where string) {
	if d.differs(older.dict["AP"], newer.dict["AP"]) || d.new.stateDiffers(newer) {
		d.forbid(FieldChanged, where+" /AP")
		return
	}
	d.tell(FormFilled, Permitted, where)
}

// written: a text or choice may only show the value that was given, and may
// look different only for having another.
func (d *differ) written(older, newer *field, where string) {
	if !newer.isWidget() {
		d.tell(FormFilled, Permitted, where)
		return
	}
	was, _ := d.old.shown(d.old.appearance(older.dict))
	agrees := d.new.agreement(newer)
	is, _, fonts := d.new.written(d.new.appearance(newer.dict))
	refilled := d.probe(older.value, newer.value)
	switch {
	case agrees == differing, !refilled && (agrees != agreeing || bare(was) != bare(is)):
		d.forbid(FieldChanged, where+" /AP")
	case agrees == agreeing && !slices.ContainsFunc(fonts, d.unseen):
		d.tell(FormFilled, Permitted, where)
	default:
		d.tell(FormFilled, Suspect, where+" /AP")
	}
}

// unseen says that a font came after the signature: what its letters look like
// is its own affair.
func (d *differ) unseen(font pdf.Object) bool {
	ref, ok := font.(pdf.Ref)
	return !ok || d.old.get(ref) == nil || d.probe(ref, ref)
}
