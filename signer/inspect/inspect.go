package inspect

import (
	"fmt"
	"strconv"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Report is what was found in a document.
type Report struct {
	// Findings are in the order in which they were met, one of each kind, with
	// the place of the first and, as their parameter "count", how many there are.
	Findings []policies.Finding `json:"findings,omitempty"`
}

// Has says whether something of a kind was found.
func (r Report) Has(code policies.FindingCode) bool {
	for _, finding := range r.Findings {
		if finding.Code == code {
			return true
		}
	}
	return false
}

// maxObjects bounds how many objects are looked at.
const maxObjects = 2_000_000

// File inspects a document. The error is a *policies.Refusal where the document
// has no pages that could be shown or met a limit of the reader, or else the
// failure to read the file.
func File(f *pdf.File) (Report, error) {
	i := &inspector{
		reader: &reader{file: f}, at: map[policies.FindingCode]int{}, counts: map[policies.FindingCode]int{},
		visited: map[visit]bool{}, layers: map[pdf.Ref]bool{},
	}
	if err := i.inspect(); err != nil {
		return Report{}, fmt.Errorf("inspecting: %w", err)
	}
	return i.report(), nil
}

type inspector struct {
	*reader
	findings []policies.Finding
	at       map[policies.FindingCode]int // index in findings
	counts   map[policies.FindingCode]int

	pages   []pdf.Page
	orphans []pdf.Orphan
	fields  []*field
	visited map[visit]bool
	layers  map[pdf.Ref]bool // optional content that something on a page uses
	direct  []pdf.Dict       // memberships that stand directly where they are used
	volume  int64            // octets that streams were inflated to
}

func (i *inspector) found(code policies.FindingCode, where string, params ...string) {
	i.counts[code]++
	if _, known := i.at[code]; known {
		return
	}
	i.at[code] = len(i.findings)
	finding := policies.Finding{Code: code, Where: where}
	for ; len(params) >= 2; params = params[2:] {
		if finding.Params == nil {
			finding.Params = map[string]string{}
		}
		finding.Params[params[0]] = params[1]
	}
	i.findings = append(i.findings, finding)
}

func (i *inspector) report() Report {
	for code, n := range i.counts {
		if n > 1 {
			finding := &i.findings[i.at[code]]
			if finding.Params == nil {
				finding.Params = map[string]string{}
			}
			finding.Params["count"] = strconv.Itoa(n)
		}
	}
	return Report{Findings: i.findings}
}

func (i *inspector) inspect() error {
	var err error
	if i.pages, err = i.file.Pages(); err != nil {
		return fmt.Errorf("reading the pages: %w", err)
	}
	_, catalog := i.file.Catalog()
	if i.fields = i.reader.fields(i.dict(catalog["AcroForm"])); len(i.fields) >= maxFields {
		i.found(policies.FindingIncomplete, "form")
	}
	i.catalog(catalog)
	i.walk()
	i.spare()
	i.optional(i.dict(catalog["OCProperties"]))
	i.form()
	i.over()
	if err := i.structure(); err != nil {
		return err
	}
	if err := i.placeholders(); err != nil {
		return err
	}
	if err := i.history(); err != nil {
		return err
	}
	if fatal(i.err) {
		return i.err
	}
	if i.short {
		i.found(policies.FindingIncomplete, "document", "kind", "limits")
	}
	if i.err != nil {
		i.found(policies.FindingUnreadable, "", "cause", i.err.Error())
	}
	return nil
}

// catalog looks at what the document says of itself as a whole.
func (i *inspector) catalog(catalog pdf.Dict) {
	form := i.dict(catalog["AcroForm"])
	switch {
	case i.truth(catalog["NeedsRendering"]), i.dynamic(form["XFA"]):
		i.found(policies.FindingXFADynamic, "document")
	case i.get(form["XFA"]) != nil:
		i.found(policies.FindingXFA, "document")
	}
	if catalog["Collection"] != nil {
		i.found(policies.FindingCollection, "document")
	}
	perms := i.dict(catalog["Perms"])
	if perms["UR"] != nil || perms["UR3"] != nil {
		i.found(policies.FindingUsageRights, "document")
	}
	names := i.dict(catalog["Names"])
	if names["Templates"] != nil || names["Pages"] != nil {
		i.found(policies.FindingAlternateContent, "document", "kind", "templates")
	}
	if i.truth(form["NeedAppearances"]) {
		i.found(policies.FindingNeedAppearances, "document")
	}
}

// structure tells what readers may see differently in the file itself.
func (i *inspector) structure() error {
	if i.file.Hybrid() {
		i.found(policies.FindingHybrid, "document")
	}
	for _, odd := range i.file.Irregularities() {
		where := fmt.Sprintf("object %d %d", odd.Ref.Number, odd.Ref.Generation)
		switch odd.Kind {
		case pdf.IrregularHybrid:
			i.found(policies.FindingHybridDiffers, where)
		case pdf.IrregularShared:
			if i.visited[visit{odd.Ref, false}] || i.visited[visit{odd.Ref, true}] {
				i.found(policies.FindingObjectsDuplicate, where, "kind", string(odd.Kind))
			}
		case pdf.IrregularDuplicate, pdf.IrregularForward:
			i.found(policies.FindingObjectsDuplicate, where, "kind", string(odd.Kind))
		case pdf.IrregularSize, pdf.IrregularPrevious, pdf.IrregularTail:
			// Readers agree on these. Objects behind the end are orphans.
		}
	}
	var err error
	if i.orphans, err = i.file.Orphans(); err != nil {
		return fmt.Errorf("looking for objects: %w", err)
	}
	for _, orphan := range i.orphans {
		code := policies.FindingObjectsUnlisted
		if i.shadows(orphan) {
			code = policies.FindingObjectsDuplicate
		}
		i.found(code, fmt.Sprintf("object %d %d", orphan.Ref.Number, orphan.Ref.Generation))
	}
	return nil
}

// shadows says that a reader that rebuilds the cross-reference, which takes the
// last object of each number, would take an orphan for the one that is listed.
func (r *reader) shadows(orphan pdf.Orphan) bool {
	_, entry, listed := r.file.Lookup(orphan.Ref.Number)
	return listed && entry.Offset < orphan.At
}

// over looks for annotations and fields that lie over what their page says.
func (i *inspector) over() {
	for number, page := range i.pages {
		var candidates []pdf.Dict
		for _, o := range i.array(page.Dict["Annots"]) {
			if d := i.dict(o); i.opaque(i.appearance(d)) {
				candidates = append(candidates, d)
			}
		}
		if len(candidates) == 0 {
			continue
		}
		marks := i.marksOf(page)
		for _, d := range candidates {
			if i.hidesContent(d, marks) {
				i.found(policies.FindingAnnotationCovers, fmt.Sprintf("page %d", number+1), "kind", string(i.name(d["Subtype"])))
			}
		}
	}
}
