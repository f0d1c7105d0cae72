package inspect

import (
	"fmt"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Kind says what a later revision did.
type Kind string

// The kinds. What none of the first ones describes is one of the last, and
// never permitted.
const (
	SignatureAdded      Kind = "signature_added"
	SignatureFieldAdded Kind = "signature_field_added" // empty, to be signed later
	TimeStampAdded      Kind = "timestamp_added"
	EvidenceAdded       Kind = "evidence_added" // DSS: certificates, CRLs, OCSP answers
	FormFilled          Kind = "form_filled"
	AnnotationAdded     Kind = "annotation_added"
	AnnotationChanged   Kind = "annotation_changed"
	AnnotationRemoved   Kind = "annotation_removed"
	MetadataChanged     Kind = "metadata_changed"  // nothing that a page shows
	StructureChanged    Kind = "structure_changed" // the logical structure, for new fields and annotations

	SignatureChanged Kind = "signature_changed" // an earlier signature was replaced or taken away
	FieldChanged     Kind = "field_changed"     // in another way than by filling it in
	FieldAdded       Kind = "field_added"
	FieldRemoved     Kind = "field_removed"
	FormChanged      Kind = "form_changed"
	PageChanged      Kind = "page_changed"  // content, resources, fonts, boxes
	PagesChanged     Kind = "pages_changed" // added, removed, replaced, in another order
	CatalogChanged   Kind = "catalog_changed"
	Irregular        Kind = "irregular" // readers may see different things
)

// Judgement says whether a change is one that the signature permits.
type Judgement string

// The judgements.
const (
	Permitted Judgement = "permitted"
	// Suspect is permitted by the letter, and yet can hide or feign what the
	// signer saw: a person has to look at it.
	Suspect   Judgement = "suspect"
	Forbidden Judgement = "forbidden"
)

// Change is one thing that a later revision changed.
type Change struct {
	Kind      Kind      `json:"kind"`
	Where     string    `json:"where,omitempty"` // for operators: "page 2, /Contents", "field Total"
	Judgement Judgement `json:"judgement"`
}

const (
	// maxSteps bounds how many values are compared.
	maxSteps = 20_000_000
	// maxChanges bounds the list; one more says that there were more.
	maxChanges = 1000
)

// Changes lists what newer shows or holds otherwise than older, judged by what
// a signature over older permits. older has to be newer.At one of its
// revisions. It compares what the two mean, object by object, and not what the
// update wrote: it does not matter by which trick of the cross-reference an
// object became another.
//
// The error is a *policies.Refusal where a limit was met or a page tree cannot be
// read; then nothing is known and nothing permitted.
func Changes(older, newer *pdf.File, permitted Permission) ([]Change, error) {
	orphans, err := newer.Orphans()
	if err != nil {
		return nil, fmt.Errorf("looking for objects: %w", err)
	}
	return compare(older, newer, permitted, orphans)
}

// compare is Changes for one who knows the newer file's orphans.
func compare(older, newer *pdf.File, permitted Permission, orphans []pdf.Orphan) ([]Change, error) {
	d := &differ{
		old: &reader{file: older}, new: &reader{file: newer}, permitted: permitted,
		seen: map[[2]pdf.Ref]bool{}, anchors: map[pdf.Ref]bool{},
	}
	if err := d.compare(orphans); err != nil {
		return nil, fmt.Errorf("comparing revisions: %w", err)
	}
	return d.changes, nil
}

// differ compares two revisions of one file. Pages, fields and annotations are
// anchors: a reference to one is the same if it is the same reference, and each
// is compared by rules of its own, once.
type differ struct {
	old, new  *reader
	permitted Permission
	changes   []Change

	seen    map[[2]pdf.Ref]bool // pairs that were compared strictly
	anchors map[pdf.Ref]bool
	steps   int

	oldPages, newPages   []pdf.Page
	oldFields, newFields []*field
	drawn                map[int][]point // by page: what it said when it was signed
	shownOn              map[pdf.Ref]int // the newer pages, by annotation
	signatures           bool            // older has some
	counts               map[Change]int
}

func (d *differ) compare(orphans []pdf.Orphan) error {
	var err error
	if d.oldPages, err = d.old.file.Pages(); err != nil {
		return fmt.Errorf("reading the older pages: %w", err)
	}
	if d.newPages, err = d.new.file.Pages(); err != nil {
		return fmt.Errorf("reading the newer pages: %w", err)
	}
	_, oldCatalog := d.old.file.Catalog()
	_, newCatalog := d.new.file.Catalog()
	oldForm, newForm := d.old.dict(oldCatalog["AcroForm"]), d.new.dict(newCatalog["AcroForm"])
	d.oldFields, d.newFields = d.old.fields(oldForm), d.new.fields(newForm)
	if len(d.oldFields) >= maxFields || len(d.newFields) >= maxFields {
		return policies.Refuse(policies.DocumentTooComplex, "reason", "too many fields")
	}
	d.signatures = len(d.old.signatures(d.oldFields)) > 0
	d.anchor()
	d.trailer()
	d.catalog(oldCatalog, newCatalog)
	d.form(oldForm, newForm)
	d.pageTree(oldCatalog["Pages"], newCatalog["Pages"])
	d.pages()
	d.irregular(orphans)
	if d.steps > maxSteps {
		return policies.Refuse(policies.DocumentTooComplex, "reason", "too much to compare")
	}
	for _, r := range []*reader{d.old, d.new} {
		if fatal(r.err) {
			return r.err
		}
		if r.short {
			return policies.Refuse(policies.DocumentTooComplex, "reason", "too much to look at")
		}
	}
	return nil
}

// anchor finds what is compared by its own rules.
func (d *differ) anchor() {
	root, _ := d.old.file.Catalog()
	d.anchors[root] = true
	for _, page := range d.oldPages {
		d.anchors[page.Ref] = true
		for _, o := range d.old.array(page.Dict["Annots"]) {
			if ref, ok := o.(pdf.Ref); ok {
				d.anchors[ref] = true
			}
		}
	}
	for _, n := range d.oldFields {
		d.anchors[n.ref] = true
	}
	for parent := range d.nodes() {
		d.anchors[parent] = true
	}
	delete(d.anchors, pdf.Ref{})
}

// nodes are the inner nodes of the older page tree.
func (d *differ) nodes() map[pdf.Ref]bool {
	nodes := map[pdf.Ref]bool{}
	for _, page := range d.oldPages {
		for parent, ok := page.Dict["Parent"].(pdf.Ref); ok && !nodes[parent]; {
			nodes[parent] = true
			parent, ok = d.old.dict(parent)["Parent"].(pdf.Ref)
		}
	}
	return nodes
}

func (d *differ) tell(kind Kind, judgement Judgement, where string) {
	change := Change{Kind: kind, Where: where, Judgement: judgement}
	if d.counts == nil {
		d.counts = map[Change]int{}
	}
	if d.counts[change]++; d.counts[change] > 1 {
		return
	}
	switch {
	case len(d.changes) < maxChanges:
		d.changes = append(d.changes, change)
	case len(d.changes) == maxChanges:
		d.changes = append(d.changes, Change{Kind: Irregular, Where: "more changes than are told", Judgement: Forbidden})
	}
}

func (d *differ) forbid(kind Kind, where string) { d.tell(kind, Forbidden, where) }

// trailer checks that the document is still the same one.
func (d *differ) trailer() {
	oldRoot, _ := d.old.file.Catalog()
	newRoot, _ := d.new.file.Catalog()
	if oldRoot != newRoot {
		d.forbid(CatalogChanged, "/Root")
	}
	if d.probe(d.old.file.Trailer()["Info"], d.new.file.Trailer()["Info"]) {
		d.tell(MetadataChanged, Permitted, "/Info")
	}
}

// catalog compares the catalogue but for form and pages.
func (d *differ) catalog(older, newer pdf.Dict) {
	for _, key := range keys(older, newer) {
		switch key {
		case "AcroForm", "Pages":
		case "DSS":
			if d.probe(older[key], newer[key]) {
				d.tell(EvidenceAdded, Permitted, "/DSS")
			}
		case "Metadata", "Version", "Extensions", "PieceInfo":
			if d.probe(older[key], newer[key]) {
				d.tell(MetadataChanged, Permitted, "/"+string(key))
			}
		case "Perms":
			d.perms(d.old.dict(older[key]), d.new.dict(newer[key]))
		case "StructTreeRoot":
			d.structure(older[key], newer[key])
		case "MarkInfo":
			if older[key] != nil && d.differs(older[key], newer[key]) {
				d.forbid(CatalogChanged, "/MarkInfo")
			}
		default:
			if d.differs(older[key], newer[key]) {
				d.forbid(CatalogChanged, "/"+string(key))
			}
		}
	}
}

// perms: a document is certified by its first signature or never; usage rights
// are nobody's consent.
func (d *differ) perms(older, newer pdf.Dict) {
	for _, key := range keys(older, newer) {
		switch key {
		case "UR", "UR3":
		case "DocMDP":
			if older[key] == nil && !d.signatures {
				continue // the certification is judged as the signature that it is
			}
			if older[key] == nil || older[key] != newer[key] {
				d.forbid(CatalogChanged, "/Perms /DocMDP")
			}
		default:
			d.forbid(CatalogChanged, "/Perms")
		}
	}
}

// structure may grow where fields and annotations were added; what it says of
// earlier content has to stay.
func (d *differ) structure(older, newer pdf.Object) {
	if !d.probe(older, newer) {
		return
	}
	if older == nil || !d.grown(older, newer) {
		d.forbid(CatalogChanged, "/StructTreeRoot")
		return
	}
	d.tell(StructureChanged, Permitted, "/StructTreeRoot")
}

// irregular reports what the update left for readers to disagree on.
func (d *differ) irregular(orphans []pdf.Orphan) {
	from := d.old.file.Size()
	for _, odd := range d.new.file.Irregularities() {
		if odd.At < from {
			continue
		}
		judgement := Suspect
		switch odd.Kind {
		case pdf.IrregularDuplicate, pdf.IrregularHybrid, pdf.IrregularForward, pdf.IrregularShared:
			judgement = Forbidden
		case pdf.IrregularSize, pdf.IrregularPrevious, pdf.IrregularTail:
		}
		d.tell(Irregular, judgement, fmt.Sprintf("%s, object %d %d", odd.Kind, odd.Ref.Number, odd.Ref.Generation))
	}
	for _, orphan := range orphans {
		if orphan.At < from {
			continue
		}
		judgement := Suspect
		if d.new.shadows(orphan) {
			judgement = Forbidden
		}
		d.tell(Irregular, judgement, fmt.Sprintf("object %d %d in no cross-reference", orphan.Ref.Number, orphan.Ref.Generation))
	}
}
