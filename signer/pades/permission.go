package pades

import (
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Permission is what those who signed before let be changed (ISO 32000-2, 12.8.2.2).
type Permission int

// The access permissions P of a DocMDP transform. Any is what nobody restricted.
const (
	NoChanges   Permission = 1
	FillAndSign Permission = 2
	Annotate    Permission = 3
	Any         Permission = 4
)

// permissions is what all signatures together leave to the next.
type permissions struct {
	level  Permission
	locks  []lock
	signed int
	// restricted says why a usage rights signature forbids another signature.
	restricted string
}

func refuseCertified(reason string) error {
	return policies.Refuse(policies.DocumentCertified, "reason", reason).From("ISO 32000-2, 12.8.2")
}

// permissions reads every signature there is. A permission once denied is not
// given back by a later signature (ISO 32000-2, table 236, P).
func (m *form) permissions() (permissions, error) {
	out := permissions{level: Any}
	for _, fd := range m.fields {
		signature, err := m.signature(fd)
		if err != nil {
			return out, err
		}
		if signature == nil {
			continue
		}
		out.signed++
		if err := m.restrict(&out, fd.dict["Lock"]); err != nil {
			return out, err
		}
		if err := m.references(&out, signature); err != nil {
			return out, err
		}
	}
	_, catalog := m.file.Catalog()
	perms, err := m.file.Dict(catalog["Perms"])
	if err != nil {
		return out, err
	}
	for _, key := range []pdf.Name{"DocMDP", "UR3", "UR"} {
		signature, err := m.file.Dict(perms[key])
		if err != nil {
			return out, err
		}
		if err := m.references(&out, signature); err != nil {
			return out, err
		}
	}
	return out, nil
}

// restrict applies a field's lock dictionary, which binds once the field is signed.
func (m *form) restrict(out *permissions, o pdf.Object) error {
	dict, err := m.file.Dict(o)
	if err != nil || len(dict) == 0 {
		return err
	}
	l, err := m.readLock(dict)
	if err != nil {
		return err
	}
	out.locks = append(out.locks, l)
	return m.deny(out, dict, Any)
}

// deny lowers the level to P, where it is given, or else to fallback.
func (m *form) deny(out *permissions, dict pdf.Dict, fallback Permission) error {
	value, err := m.file.Resolve(dict["P"])
	if err != nil {
		return err
	}
	level := fallback
	if p, ok := value.(int64); ok && p >= int64(NoChanges) && p <= int64(Annotate) {
		level = Permission(p)
	} else if ok && p < int64(NoChanges) {
		level = NoChanges
	}
	out.level = min(out.level, level)
	return nil
}

// references applies the transforms of a signature.
func (m *form) references(out *permissions, signature pdf.Dict) error {
	return m.transforms(signature["Reference"], func(method pdf.Name, params pdf.Dict) error {
		switch method {
		case "DocMDP":
			return m.deny(out, params, FillAndSign)
		case "FieldMDP":
			return m.restrict(out, params)
		case "UR3", "UR":
			return m.usageRights(out, params)
		}
		return nil
	})
}

// transforms hands out the signature reference dictionaries (ISO 32000-2, table
// 256).
func (m *form) transforms(references pdf.Object, use func(method pdf.Name, params pdf.Dict) error) error {
	members, err := m.file.Array(references)
	if err != nil {
		return err
	}
	for _, member := range members {
		reference, err := m.file.Dict(member)
		if err != nil {
			return err
		}
		method, err := m.file.Name(reference["TransformMethod"])
		if err != nil {
			return err
		}
		params, err := m.file.Dict(reference["TransformParams"])
		if err != nil {
			return err
		}
		if err := use(method, params); err != nil {
			return err
		}
	}
	return nil
}

// usageRights reads what a usage rights signature grants. It only adds to what
// a viewer offers, and a signature of ours leaves its octets alone; but where P
// is true it takes every other right away (ISO 32000-1, table 255).
func (m *form) usageRights(out *permissions, params pdf.Dict) error {
	restricts, err := m.file.Resolve(params["P"])
	if err != nil || restricts != true {
		return err
	}
	rights, err := m.file.Array(params["Signature"])
	if err != nil {
		return err
	}
	if !slices.Contains(rights, pdf.Object(pdf.Name("Modify"))) {
		out.restricted = "usage rights without the right to sign"
	}
	return nil
}

// allow says whether a field may be signed so. A new field that is shown changes
// more than signing does; an invisible one is what signing takes.
func (p permissions) allow(name string, fresh bool, o Options) error {
	switch {
	case p.restricted != "":
		return refuseCertified(p.restricted)
	case p.level == NoChanges:
		return refuseCertified("certified without changes")
	case o.Certify != 0 && p.signed > 0:
		return refuseCertified("signed already: only the first signature can certify")
	case o.Certify != 0 && p.level != Any:
		return refuseCertified("certified already")
	case p.level == FillAndSign && fresh && o.Stamp != nil:
		return refuseCertified("certified: no new visible field")
	}
	for _, l := range p.locks {
		if l.covers(name) {
			return refuseCertified(fmt.Sprintf("a signature locks the field %q", name))
		}
	}
	return nil
}
