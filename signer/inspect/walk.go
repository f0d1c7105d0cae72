package inspect

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// visit is an object that was met, and whether as something that happens by itself.
type visit struct {
	ref  pdf.Ref
	auto bool
}

// step is an object to look at.
type step struct {
	object pdf.Object
	where  string
	parent pdf.Name // the key under which it stands
	auto   bool     // an action here happens without anybody asking
	action bool     // what stands here is an action
	layer  bool     // what stands here says which layer something belongs to
}

// walk goes through everything that hangs on the trailer, pages first so that
// places are told by page.
func (i *inspector) walk() {
	var stack []step
	trailer := i.file.Trailer()
	for _, key := range []pdf.Name{"Info", "Root"} {
		stack = append(stack, step{object: trailer[key], where: "document"})
	}
	for n, page := range slices.Backward(i.pages) {
		stack = append(stack, step{object: page.Ref, where: fmt.Sprintf("page %d", n+1)})
	}
	for seen := 0; len(stack) > 0; seen++ {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen > maxObjects {
			i.found(policies.FindingIncomplete, s.where)
			return
		}
		if ref, ok := s.object.(pdf.Ref); ok {
			if s.layer {
				i.layers[ref] = true
			}
			if i.visited[visit{ref, s.auto}] {
				continue
			}
			i.visited[visit{ref, s.auto}] = true
		}
		switch v := i.get(s.object).(type) {
		case pdf.Array:
			for _, member := range v {
				stack = push(stack, step{member, s.where, s.parent, s.auto, s.action, s.layer})
			}
		case pdf.Dict:
			stack = i.look(stack, v, s)
		case *pdf.Stream:
			i.measure(v, s)
			i.streamDict(v.Dict, s.where)
			stack = i.look(stack, v.Dict, s)
		}
	}
}

// push leaves out what holds nothing.
func push(stack []step, s step) []step {
	switch s.object.(type) {
	case pdf.Ref, pdf.Array, pdf.Dict:
		return append(stack, s)
	default:
		return stack
	}
}

// look judges a dictionary by its shape and puts what it holds on the stack.
func (i *inspector) look(stack []step, d pdf.Dict, s step) []step {
	kind := i.name(d["S"])
	isAction := s.action || known(kind) && i.name(d["Type"]) != "StructElem"
	if isAction && s.parent != "D" {
		i.act(kind, d, s)
	}
	i.annotation(d, s.where)
	if s.layer {
		if _, isDirect := s.object.(pdf.Dict); isDirect {
			i.direct = append(i.direct, d)
		}
	}
	if d["EF"] != nil {
		i.found(policies.FindingAttachments, s.where)
	}
	for _, key := range d.Keys() {
		value := d[key]
		next := step{object: value, where: s.where, parent: key}
		switch key {
		case "OpenAction":
			next.auto, next.action = true, isDict(i.get(value))
		case "JavaScript":
			// In the catalogue's names: they run when the document opens. Where there
			// are fields, such are the functions that these use.
			next.auto = len(i.fields) == 0
		case "Names", "Kids":
			next.auto = s.auto && !s.action
		case "Next":
			next.auto, next.action = s.auto, isAction
		case "AA":
			stack = i.triggers(stack, d, i.dict(value), s)
			continue
		case "A":
			next.action = d["Rect"] != nil || d["Title"] != nil
		case "OC":
			next.layer = true
		case "Properties":
			properties := i.dict(value)
			for _, name := range properties.Keys() {
				stack = push(stack, step{object: properties[name], where: s.where, layer: true})
			}
			continue
		}
		stack = push(stack, next)
	}
	return stack
}

func isDict(o pdf.Object) bool {
	_, ok := o.(pdf.Dict)
	return ok
}

// triggers are additional actions (ISO 32000-2, 12.6.3). Those of the document
// and its pages happen by themselves, and those of annotations that follow
// their page; the others follow what somebody does.
func (i *inspector) triggers(stack []step, owner, triggers pdf.Dict, s step) []step {
	kind := i.name(owner["Type"])
	whole := kind == "Catalog" || kind == "Page" || owner["Pages"] != nil || owner["MediaBox"] != nil
	for _, event := range triggers.Keys() {
		auto := whole || event == "PO" || event == "PC" || event == "PV" || event == "PI"
		stack = push(stack, step{object: triggers[event], where: s.where, parent: event, auto: auto, action: true})
	}
	return stack
}

// known says whether ISO 32000 has an action of this name (tables 201 and 202).
func known(kind pdf.Name) bool {
	switch kind {
	case "GoTo", "GoToR", "GoToE", "GoToDp", "Launch", "Thread", "URI", "Sound", "Movie", "Hide", "Named", "SubmitForm",
		"ResetForm", "ImportData", "JavaScript", "SetOCGState", "Rendition", "Trans", "GoTo3DView", "RichMediaExecute":
		return true
	default:
		return false
	}
}

func (i *inspector) act(kind pdf.Name, d pdf.Dict, s step) {
	switch kind {
	case "GoTo", "GoToDp", "Thread", "Named", "Trans":
		return // they move about in the document
	case "JavaScript":
		if s.auto {
			i.found(policies.FindingJavaScriptOpen, s.where)
		} else {
			i.found(policies.FindingJavaScriptForm, s.where)
		}
		return
	case "Launch":
		i.found(policies.FindingActionLaunch, s.where)
	case "GoToR", "GoToE":
		i.found(policies.FindingActionOther, s.where, "kind", string(kind))
	case "SubmitForm", "ResetForm":
		i.found(policies.FindingActionSubmit, s.where)
	case "ImportData":
		i.found(policies.FindingActionImport, s.where)
	case "Hide", "SetOCGState":
		i.found(policies.FindingActionHide, s.where)
	case "URI":
		i.link(i.get(d["URI"]), s.where)
	case "Sound", "Movie", "Rendition", "GoTo3DView", "RichMediaExecute":
		i.found(policies.FindingMedia, s.where)
	default:
		i.found(policies.FindingActionOther, s.where)
	}
	if s.auto {
		i.found(policies.FindingActionOpen, s.where, "kind", string(kind))
	}
}

// link allows what leads to another page, a mail or a call.
func (i *inspector) link(o pdf.Object, where string) {
	text, ok := o.(pdf.String)
	address := strings.ToLower(strings.TrimSpace(string(text)))
	scheme, _, absolute := strings.Cut(address, ":")
	if absolute && strings.ContainsAny(scheme, "/?#.") {
		absolute = false // a relative address with a colon in it
	}
	switch {
	case ok && !absolute, scheme == "http", scheme == "https", scheme == "mailto", scheme == "tel":
	default:
		i.found(policies.FindingActionURI, where)
	}
}

// annotation looks at annotations wherever they stand.
func (i *inspector) annotation(d pdf.Dict, where string) {
	subtype, ok := d["Subtype"].(pdf.Name)
	if !ok || d["Rect"] == nil {
		return
	}
	switch subtype {
	case "Movie", "Screen", "Sound", "3D", "RichMedia":
		i.found(policies.FindingMedia, where)
	case "Redact":
		i.found(policies.FindingRedactionPending, where)
	case "FreeText", "Stamp", "Square", "Circle", "Polygon", "Watermark", "Widget":
		flags := i.integer(d["F"])
		onlyPaper := flags&(flagNoView|flagPrint) == flagNoView|flagPrint
		onlyScreen := subtype != "Widget" && flags&(flagPrint|flagHidden|flagNoView) == 0
		if d["AP"] != nil && (onlyPaper && flags&flagHidden == 0 || onlyScreen) {
			i.found(policies.FindingAnnotationHidden, where)
		}
	}
}

// streamDict looks at what a stream refers to outside itself.
func (i *inspector) streamDict(d pdf.Dict, where string) {
	subtype := i.name(d["Subtype"])
	switch {
	case d["F"] != nil && i.name(d["Type"]) != "EmbeddedFile", subtype == "Form" && d["Ref"] != nil:
		i.found(policies.FindingExternalContent, where)
	case d["OPI"] != nil:
		i.found(policies.FindingExternalContent, where, "kind", "OPI")
	case subtype == "Image" && d["Alternates"] != nil:
		i.found(policies.FindingAlternateContent, where, "kind", "image")
	}
}

// dynamic says whether an XFA form is drawn by XFA alone.
func (i *inspector) dynamic(xfa pdf.Object) bool {
	packets := []pdf.Object{xfa}
	if list := i.array(xfa); list != nil {
		packets = list[:min(len(list), 64)]
	}
	for _, packet := range packets {
		if s := i.stream(packet); s != nil && bytes.Contains(i.data(s, maxContent), []byte("dynamicRender>required")) {
			return true
		}
	}
	return false
}

// spare looks for pages and catalogues that nothing refers to: an update of the
// cross-reference alone could bring them up.
func (i *inspector) spare() {
	seen := 0
	for ref := range i.file.Objects() {
		if seen++; seen > maxObjects {
			i.found(policies.FindingIncomplete, "document")
			return
		}
		if i.visited[visit{ref, false}] || i.visited[visit{ref, true}] {
			continue
		}
		o, err := i.file.Resolve(ref)
		if err != nil {
			if fatal(err) {
				i.fail(err)
				return
			}
			continue // nothing refers to it, and nothing can
		}
		d, ok := o.(pdf.Dict)
		switch kind := i.name(d["Type"]); {
		case ok && (kind == "Page" || kind == "Pages" || kind == "Catalog"):
			i.found(policies.FindingObjectsSpare, fmt.Sprintf("object %d %d", ref.Number, ref.Generation), "kind", string(kind))
		}
	}
}
