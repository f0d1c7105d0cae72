package inspect

import (
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// agreement is whether a widget shows its field's value.
type agreement int

const (
	agreeing  agreement = iota
	undrawn             // there is a value, and nothing that draws it
	formatted           // a script may have made the difference
	unknown             // what is drawn cannot be read as text
	differing
)

// agreement compares what a text or choice widget draws with its value.
func (r *reader) agreement(n *field) agreement {
	value, known := r.display(n)
	if !known {
		return unknown
	}
	appearance := r.appearance(n.dict)
	text, plain := r.shown(appearance)
	text, value = bare(text), bare(value)
	switch {
	case text == value && plain:
		return agreeing
	case appearance == nil:
		return undrawn
	case !plain:
		return unknown
	case r.formatted(n):
		return formatted
	case text == "":
		return undrawn
	default:
		return differing
	}
}

// stateDiffers says that a check box or radio button shows another state than
// its field has.
func (r *reader) stateDiffers(n *field) bool {
	states := r.dict(r.dict(n.dict["AP"])["N"])
	value, shown := r.name(n.value), r.name(n.dict["AS"])
	if len(states) == 0 || value == "" && shown == "" {
		return false
	}
	_, own := states[value]
	if own && value != "Off" {
		return shown != value
	}
	return shown != "Off" && shown != "" && states[shown] != nil
}

// hidesContent says whether an annotation lies over what its page says, and can
// hide it.
func (r *reader) hidesContent(annotation pdf.Dict, marks []point) bool {
	// Whatever the kind says of itself, viewers draw the appearance.
	if r.name(annotation["Subtype"]) == "Link" {
		return false
	}
	if r.integer(annotation["F"])&(flagHidden|flagNoView) != 0 {
		return false
	}
	box := r.box(annotation["Rect"])
	return box.area() > 0 && r.covered(marks, box) > 0 && r.opaque(r.appearance(annotation))
}
