package inspect

import (
	"maps"
	"slices"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// maxExpression bounds how deep visibility expressions may nest.
const maxExpression = 32

// optional judges optional content (ISO 32000-2, 8.11): what is used on a page
// and not shown, or not always.
func (i *inspector) optional(properties pdf.Dict) {
	if len(properties) == 0 {
		return
	}
	o := &occasions{inspector: i, base: i.dict(properties["D"]), states: map[pdf.Ref]bool{}, automatic: map[pdf.Ref]bool{}}
	o.read(i.array(properties["OCGs"]))
	used := false
	for _, ref := range slices.SortedFunc(maps.Keys(i.layers), func(a, b pdf.Ref) int { return a.Number - b.Number }) {
		used = true
		o.judge(ref, i.dict(ref))
	}
	for _, membership := range i.direct {
		used = true
		o.judge(pdf.Ref{}, membership)
	}
	if used {
		i.found(policies.FindingLayers, "document")
		if len(i.array(properties["Configs"])) > 0 {
			i.found(policies.FindingLayersAlternate, "document")
		}
	}
}

// occasions knows which groups are shown, and which only sometimes.
type occasions struct {
	*inspector
	base      pdf.Dict
	states    map[pdf.Ref]bool
	automatic map[pdf.Ref]bool
	otherwise bool // the state of groups that are not listed
}

func (o *occasions) read(groups pdf.Array) {
	o.otherwise = o.name(o.base["BaseState"]) != "OFF"
	set := func(list pdf.Array, state bool) {
		for _, member := range list {
			if ref, ok := member.(pdf.Ref); ok {
				o.states[ref] = state
			}
		}
	}
	set(groups[:min(len(groups), maxObjects)], o.otherwise)
	set(o.array(o.base["ON"]), true)
	set(o.array(o.base["OFF"]), false)
	usages := o.array(o.base["AS"])
	for _, member := range usages[:min(len(usages), maxOperands)] {
		usage := o.dict(member)
		for _, group := range o.array(usage["OCGs"]) {
			if ref, ok := group.(pdf.Ref); ok && o.varies(ref, o.array(usage["Category"])) {
				o.automatic[ref] = true
			}
		}
	}
}

// varies says whether a group's state is not the same on every occasion that
// some categories of usage are about (ISO 32000-2, table 100).
func (o *occasions) varies(group pdf.Ref, categories pdf.Array) bool {
	usage := o.dict(o.dict(group)["Usage"])
	for _, category := range categories[:min(len(categories), maxOperands)] {
		name := o.name(category)
		setting := o.dict(usage[name])
		if len(setting) == 0 {
			continue
		}
		switch name {
		case "View", "Print", "Export":
			if state := o.name(setting[name+"State"]); state != "" && (state == "ON") != o.state(group) {
				return true
			}
		default: // Zoom, User, Language and what is yet to come
			return true
		}
	}
	return false
}

func (o *occasions) state(group pdf.Ref) bool {
	if state, listed := o.states[group]; listed {
		return state
	}
	return o.otherwise
}

// judge looks at one group or membership that something on a page uses.
func (o *occasions) judge(ref pdf.Ref, d pdf.Dict) {
	if o.name(d["Type"]) != "OCMD" {
		if ref == (pdf.Ref{}) || o.name(d["Type"]) != "OCG" {
			return // properties of another kind
		}
		if !o.state(ref) {
			o.found(policies.FindingLayersHidden, "document")
		}
		if o.automatic[ref] {
			o.found(policies.FindingLayersAutomatic, "document")
		}
		return
	}
	groups, visible := o.membership(d)
	if !visible {
		o.found(policies.FindingLayersHidden, "document")
	}
	if slices.ContainsFunc(groups, func(group pdf.Ref) bool { return o.automatic[group] }) {
		o.found(policies.FindingLayersAutomatic, "document")
	}
}

// membership gives the groups of a membership dictionary and whether it is shown.
func (o *occasions) membership(d pdf.Dict) ([]pdf.Ref, bool) {
	if expression := o.array(d["VE"]); len(expression) > 0 {
		return o.expression(expression, 0)
	}
	var groups []pdf.Ref
	if ref, ok := d["OCGs"].(pdf.Ref); ok && isDict(o.get(ref)) {
		groups = []pdf.Ref{ref}
	} else {
		for _, member := range o.array(d["OCGs"]) {
			if ref, ok := member.(pdf.Ref); ok && len(groups) < maxOperands {
				groups = append(groups, ref)
			}
		}
	}
	if len(groups) == 0 {
		return nil, true
	}
	off := func(group pdf.Ref) bool { return !o.state(group) }
	switch o.name(d["P"]) {
	case "AllOn":
		return groups, !slices.ContainsFunc(groups, off)
	case "AnyOff":
		return groups, slices.ContainsFunc(groups, off)
	case "AllOff":
		return groups, !slices.ContainsFunc(groups, o.state)
	default: // AnyOn
		return groups, slices.ContainsFunc(groups, o.state)
	}
}

// expression evaluates /And, /Or and /Not. One that is nested too deep counts
// as hidden: nobody writes that in good faith.
func (o *occasions) expression(list pdf.Array, depth int) ([]pdf.Ref, bool) {
	if depth > maxExpression || len(list) == 0 || len(list) > maxOperands {
		return nil, false
	}
	var groups []pdf.Ref
	operator := o.name(list[0])
	all, some := true, false
	for _, member := range list[1:] {
		var value bool
		if ref, ok := member.(pdf.Ref); ok && isDict(o.get(ref)) {
			groups = append(groups, ref)
			value = o.state(ref)
		} else {
			var inner []pdf.Ref
			inner, value = o.expression(o.array(member), depth+1)
			groups = append(groups, inner...)
		}
		all, some = all && value, some || value
	}
	switch operator {
	case "And":
		return groups, all
	case "Or":
		return groups, some
	case "Not":
		return groups, !some
	default:
		return groups, false
	}
}
