package inspect

import (
	"bytes"
	"encoding/hex"
	"io"
	"slices"
	"strings"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// maxContents bounds the octets that a signature's Contents may take.
const maxContents = 16 << 20

// Permission says what may change after a signature (ISO 32000-2, 12.8.2).
type Permission struct {
	// Level is the P of DocMDP: 1 nothing, 2 form filling and signing, 3 annotations
	// too. At 0 nobody has said anything, and all three are permitted.
	Level int
	Locks []Lock
}

// Lock names fields that may not change any more (ISO 32000-2, 12.8.2.4).
type Lock struct {
	Action string // All, Include, Exclude
	Fields []string
}

// PermissionOf reads what a signature permits: by its references, by the lock
// of its field, and by the certification of the document.
func PermissionOf(f *pdf.File, signature, field pdf.Dict) Permission {
	r := &reader{file: f}
	return r.permission(signature, field)
}

func (r *reader) permission(signature, field pdf.Dict) Permission {
	var p Permission
	_, catalog := r.file.Catalog()
	for _, d := range []pdf.Dict{signature, r.dict(r.dict(catalog["Perms"])["DocMDP"])} {
		references := r.array(d["Reference"])
		for _, o := range references[:min(len(references), maxOperands)] {
			reference := r.dict(o)
			params := r.dict(reference["TransformParams"])
			switch r.name(reference["TransformMethod"]) {
			case "DocMDP":
				p.Level = stricter(p.Level, r.level(params, 2))
			case "FieldMDP":
				p.Locks = append(p.Locks, r.lock(params))
			}
		}
	}
	if lock := r.dict(field["Lock"]); len(lock) > 0 {
		p.Level = stricter(p.Level, r.level(lock, 0))
		p.Locks = append(p.Locks, r.lock(lock))
	}
	return p
}

// level reads a P; one that ISO does not know permits nothing.
func (r *reader) level(params pdf.Dict, absent int) int {
	switch v := r.get(params["P"]).(type) {
	case nil:
		return absent
	case int64:
		if v >= 1 && v <= 3 {
			return int(v)
		}
	}
	return 1
}

// stricter is the smaller of two levels of which 0 says nothing.
func stricter(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

func (r *reader) lock(d pdf.Dict) Lock {
	lock := Lock{Action: string(r.name(d["Action"]))}
	for _, o := range r.array(d["Fields"]) {
		lock.Fields = append(lock.Fields, r.text(o))
	}
	return lock
}

// locked says whether a field of this full name may not change. A field's name
// stands for those beneath it too.
func (p Permission) locked(name string) bool {
	for _, lock := range p.Locks {
		named := slices.ContainsFunc(lock.Fields, func(field string) bool {
			return name == field || strings.HasPrefix(name, field+".")
		})
		switch lock.Action {
		case "Include":
			if named {
				return true
			}
		case "Exclude":
			if !named {
				return true
			}
		default: // All, and what ISO does not know
			return true
		}
	}
	return false
}

// signed is a signature that stands in a document.
type signed struct {
	field *field // nil for one that only the catalogue names
	dict  pdf.Dict
	ref   pdf.Ref // of dict, zero if it stands directly in the field
}

// signatures lists what the form's signature fields hold.
func (r *reader) signatures(fields []*field) []signed {
	var all []signed
	seen := map[pdf.Ref]bool{}
	for _, n := range fields {
		if n.kind != "Sig" || n.dict["V"] == nil {
			continue
		}
		ref, isRef := n.dict["V"].(pdf.Ref)
		if isRef && seen[ref] {
			continue
		}
		seen[ref] = isRef
		// One that cannot be read claims to be a signature all the same.
		if value, err := r.file.Resolve(n.dict["V"]); err != nil || value != nil {
			r.fail(err)
			all = append(all, signed{n, r.dict(n.dict["V"]), ref})
		}
	}
	return all
}

// isTimeStamp says whether a signature is a document time-stamp.
func (r *reader) isTimeStamp(signature pdf.Dict) bool {
	return r.name(signature["SubFilter"]) == "ETSI.RFC3161" || r.name(signature["Type"]) == "DocTimeStamp"
}

// coverage checks that the ByteRange of a signature is everything up to its
// end but the octets of its Contents, and gives that end; -1 if it is not.
// Anything else leaves room to forge (universal forgery and wrapping attacks).
func (r *reader) coverage(s signed) int64 {
	list := r.array(s.dict["ByteRange"])
	contents, isString := r.get(s.dict["Contents"]).(pdf.String)
	if len(list) != 4 || !isString || len(contents) == 0 || len(contents) > maxContents || strings.Trim(string(contents), "\x00") == "" {
		return -1
	}
	var at [4]int64
	for i, member := range list {
		n, ok := r.get(member).(int64)
		if !ok || n < 0 || n > r.file.Size() {
			return -1
		}
		at[i] = n
	}
	gap := at[2] - at[1]
	end := at[2] + at[3]
	if at[0] != 0 || at[1] == 0 || gap < 2 || gap > 2*maxContents || end > r.file.Size() || !r.stands(s, at[1], at[2]) {
		return -1
	}
	hole := make([]byte, gap)
	if _, err := io.ReadFull(io.NewSectionReader(r.file.Reader(), at[1], gap), hole); err != nil {
		r.fail(err)
		return -1
	}
	if hole[0] != '<' || hole[gap-1] != '>' {
		return -1
	}
	digits := bytes.Trim(hole[1:gap-1], "\x00\t\n\f\r ")
	value := make([]byte, len(digits)/2)
	if n, err := hex.Decode(value, digits); err != nil || !bytes.Equal(value[:n], []byte(contents)) {
		return -1
	}
	return end
}

// stands says whether Contents, as they are resolved, stand just where the hole is.
func (r *reader) stands(s signed, from, to int64) bool {
	ref, path := s.ref, []pdf.Name{"Contents"}
	if ref == (pdf.Ref{}) {
		if s.field == nil || s.field.ref == (pdf.Ref{}) {
			return false
		}
		ref, path = s.field.ref, []pdf.Name{"V", "Contents"}
	}
	start, end, ok, err := r.file.Locate(ref, path...)
	r.fail(err)
	return ok && start == from && end == to
}
