package pades

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// draft is an update in the making: signature dictionary, field, widget, page,
// form and catalogue.
type draft struct {
	file    *pdf.File
	form    *form
	pages   []pdf.Page
	facts   Facts
	options Options
	update  *pdf.Update

	permitted permissions

	target *field // the field to fill; nil makes a new one
	name   string // its full name

	byteRange, contents *pdf.Raw
	claimed             *pdf.Raw // the value of /M; nil where there is none

	drawn   stamp.Drawn
	missing []rune
}

// newDraft reads what there is.
func newDraft(f *pdf.File, o Options) (*draft, error) {
	d := &draft{file: f, options: o, update: f.NewUpdate()}
	if d.options.Hole == 0 {
		d.options.Hole = DefaultHole
	}
	var err error
	if d.form, err = readForm(f); err != nil {
		return nil, err
	}
	if d.pages, err = f.Pages(); err != nil {
		return nil, err
	}
	if d.permitted, err = d.form.permissions(); err != nil {
		return nil, err
	}
	if d.facts, err = describe(d.form, d.pages, d.permitted); err != nil {
		return nil, err
	}
	if o.Field == "" {
		d.name = d.form.newName(d.permitted)
		return d, nil
	}
	if d.target, err = d.form.empty(o.Field); err != nil {
		return nil, err
	}
	d.name = d.target.name
	return d, d.form.checkSeed(d.target, o)
}

// newName is a name that no field of the form has, and no lock covers if there is one.
func (m *form) newName(p permissions) string {
	name := ""
	for n := len(m.fields) + 1; ; n++ {
		name = fmt.Sprintf("Rubrica-%d", n)
		free := func(l lock) bool { return l.action != pdf.Name("Include") || !l.covers(name) }
		if !m.names[name] && !slices.ContainsFunc(p.locks, func(l lock) bool { return !free(l) }) {
			return name
		}
	}
}

// write puts the signature dictionary and all around it into the update.
func (d *draft) write(signature pdf.Dict) error {
	d.byteRange = &pdf.Raw{Bytes: bytes.Repeat([]byte(" "), byteRangeWidth)}
	hole := bytes.Repeat([]byte("0"), 2*d.options.Hole+2)
	hole[0], hole[len(hole)-1] = '<', '>'
	d.contents = &pdf.Raw{Bytes: hole}
	signature["ByteRange"], signature["Contents"] = d.byteRange, d.contents
	references, err := d.references()
	if err != nil {
		return err
	}
	if len(references) > 0 {
		signature["Reference"] = references
	}
	id := d.update.Add(signature)
	var fresh pdf.Object
	if d.target == nil {
		fresh, err = d.newField(id)
	} else {
		err = d.fillField(id)
	}
	if err != nil {
		return err
	}
	return d.enrol(fresh, id)
}

// references are the transforms (ISO 32000-2, 12.8.2): what a certification
// permits, and what the field's lock asks for.
func (d *draft) references() (pdf.Array, error) {
	var out pdf.Array
	add := func(method pdf.Name, params pdf.Dict) {
		params["Type"], params["V"] = pdf.Name("TransformParams"), pdf.Name("1.2")
		reference := pdf.Dict{"Type": pdf.Name("SigRef"), "TransformMethod": method, "TransformParams": params}
		if method == "FieldMDP" { // where Data is required (table 256)
			reference["Data"], _ = d.file.Catalog()
		}
		out = append(out, reference)
	}
	if d.options.Certify != 0 {
		add("DocMDP", pdf.Dict{"P": int64(d.options.Certify)})
	}
	if d.target == nil {
		return out, nil
	}
	lock, err := d.file.Dict(d.target.dict["Lock"])
	if err != nil || len(lock) == 0 {
		return out, err
	}
	params := pdf.Dict{}
	for _, key := range []pdf.Name{"Action", "Fields"} {
		if params[key], err = d.file.Resolve(lock[key]); err != nil {
			return nil, err
		}
	}
	add("FieldMDP", params)
	return out, nil
}

// newField is a field and its widget in one object (ISO 32000-2, 12.7.5.5),
// printed and locked, as PDF/A wants annotations.
func (d *draft) newField(signature pdf.Ref) (pdf.Ref, error) {
	l, err := d.fresh()
	if err != nil {
		return pdf.Ref{}, err
	}
	id := d.update.Add(pdf.Dict{
		"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"),
		"FT": pdf.Name("Sig"), "T": pdf.TextString(d.name), "V": signature,
		"F": int64(annotationPrint | annotationFixed), "P": l.page.Ref,
		"Rect": l.rect, "AP": pdf.Dict{"N": l.form},
	})
	return id, d.annotate(l.page, id)
}

// fillField puts the signature into the field, which may be another object than
// its widgets.
func (d *draft) fillField(signature pdf.Ref) error {
	fd := d.target
	dict := fd.dict.Clone()
	dict["V"] = signature
	d.update.Set(fd.ref, dict)
	stamped := d.options.Stamp == nil
	for _, id := range fd.widgets {
		w, err := d.form.widget(id)
		if err != nil {
			return err
		}
		if err := d.hang(id, w); err != nil {
			return err
		}
		widget := dict
		if id != fd.ref {
			widget = w.dict.Clone()
			// Poppler looks for the value here and does not inherit it. Where
			// somebody signed before, the widget keeps what it has: others take
			// a value there for a change.
			if d.permitted.signed == 0 {
				widget["V"] = signature
			}
		}
		switch {
		case !stamped && w.shown:
			l, err := d.inField(id, w)
			if err != nil {
				return err
			}
			widget["AP"], stamped = pdf.Dict{"N": l.form}, true
		case widget["AP"] == nil:
			// An annotation without an appearance is left to the reader's
			// taste, which PDF/A forbids (ISO 19005-2, 6.3.3).
			widget["AP"] = pdf.Dict{"N": d.blank(w.rect)}
		case widget["V"] == nil:
			continue
		}
		d.update.Set(id, widget)
	}
	if !stamped {
		return refuseStamp("the field has no room")
	}
	return nil
}

// hang puts a widget among the annotations of the page that it names, where it
// is missing: some producers leave that to the signer.
func (d *draft) hang(id pdf.Ref, w widget) error {
	at := slices.IndexFunc(d.pages, func(p pdf.Page) bool { return w.dict["P"] == pdf.Object(p.Ref) })
	if at < 0 {
		return nil
	}
	members, err := d.file.Array(d.pages[at].Dict["Annots"])
	if err != nil || slices.Contains(members, pdf.Object(id)) {
		return err
	}
	return d.annotate(d.pages[at], id)
}

// annotate puts a widget among the annotations of its page.
func (d *draft) annotate(page pdf.Page, widget pdf.Ref) error {
	members, err := d.file.Array(page.Dict["Annots"])
	if err != nil {
		return err
	}
	members = append(slices.Clone(members), widget)
	list, indirect := page.Dict["Annots"].(pdf.Ref)
	shared := func(p pdf.Page) bool { return p.Ref != page.Ref && p.Dict["Annots"] == pdf.Object(list) }
	if indirect && !slices.ContainsFunc(d.pages, shared) {
		d.update.Set(list, members)
		return nil
	}
	dict := page.Dict.Clone()
	dict["Annots"] = members
	d.update.Set(page.Ref, dict)
	return nil
}

// enrol adds a new field to the form, a certification to the permissions, and
// says in the form that there is a signature now. Nothing else of either, or of
// the catalogue, changes.
func (d *draft) enrol(fresh pdf.Object, signature pdf.Ref) error {
	root, catalog := d.file.Catalog()
	catalog = catalog.Clone()
	form := d.form.dict.Clone()
	changed := false
	if fresh != nil {
		members := append(slices.Clone(d.form.members), fresh)
		if list, indirect := form["Fields"].(pdf.Ref); indirect {
			d.update.Set(list, members)
		} else {
			form["Fields"], changed = members, true
		}
	}
	flags, err := d.file.Int(form["SigFlags"], 0)
	if err != nil {
		return err
	}
	if want := flags | signaturesExist | appendOnly; want != flags {
		form["SigFlags"], changed = want, true
	}
	replaced := false
	replace := func(key pdf.Name, value pdf.Dict) {
		if id, indirect := catalog[key].(pdf.Ref); indirect {
			d.update.Set(id, value)
			return
		}
		catalog[key], replaced = value, true
	}
	if changed {
		replace("AcroForm", form)
	}
	if d.options.Certify != 0 {
		perms, err := d.file.Dict(catalog["Perms"])
		if err != nil {
			return err
		}
		perms = perms.Clone()
		perms["DocMDP"] = signature
		replace("Perms", perms)
	}
	if replaced {
		d.update.Set(root, catalog)
	}
	return nil
}

// checkSeed honours what the field demands of its signature (ISO 32000-2, table
// 237), as far as it is known before the signature.
func (m *form) checkSeed(fd *field, o Options) error {
	seed, err := m.file.Dict(fd.dict["SV"])
	if err != nil || len(seed) == 0 {
		return err
	}
	flags, err := m.file.Int(seed["Ff"], 0)
	if err != nil {
		return err
	}
	refuse := func(what string) error {
		return policies.Refuse(policies.DocumentUnsupported, "reason", "the field demands another "+what)
	}
	const filter, subFilter, version, reasons, legal, appearance = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 8
	has := func(key pdf.Name, accepted ...pdf.Object) (bool, error) {
		value, err := m.file.Resolve(seed[key])
		if err != nil {
			return false, err
		}
		members, isArray := value.(pdf.Array)
		if !isArray {
			members = pdf.Array{value}
		}
		return slices.ContainsFunc(members, func(o pdf.Object) bool { return slices.Contains(accepted, o) }), nil
	}
	for _, demand := range []struct {
		flag     int64
		key      pdf.Name
		accepted []pdf.Object
	}{
		{filter, "Filter", []pdf.Object{pdf.Name("Adobe.PPKLite")}},
		{subFilter, "SubFilter", []pdf.Object{pdf.Name("ETSI.CAdES.detached")}},
		{version, "V", []pdf.Object{int64(1), int64(2), int64(3)}},
		{reasons, "Reasons", []pdf.Object{pdf.String(o.Reason), pdf.TextString(o.Reason)}},
		{legal, "LegalAttestation", nil},
		{appearance, "AppearanceFilter", nil},
	} {
		if flags&demand.flag == 0 || seed[demand.key] == nil {
			continue
		}
		if ok, err := has(demand.key, demand.accepted...); err != nil || !ok {
			return errorOr(err, refuse(string(demand.key)))
		}
	}
	return m.checkSeedMDP(seed, o, refuse)
}

// checkSeedMDP reads what kind of signature the field is for (table 237, MDP and Cert).
func (m *form) checkSeedMDP(seed pdf.Dict, o Options, refuse func(string) error) error {
	if mdp, err := m.file.Dict(seed["MDP"]); err != nil {
		return err
	} else if len(mdp) > 0 {
		p, err := m.file.Int(mdp["P"], 0)
		if err != nil {
			return err
		}
		if p != int64(o.Certify) {
			return refuse("MDP")
		}
	}
	certificate, err := m.file.Dict(seed["Cert"])
	if err != nil {
		return err
	}
	if flags, err := m.file.Int(certificate["Ff"], 0); err != nil || flags != 0 {
		return errorOr(err, refuse("Cert"))
	}
	return nil
}

func errorOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
