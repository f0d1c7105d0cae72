package pades

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Signature is a signature or document time-stamp as it stands in a document.
// Nothing in it has been verified.
type Signature struct {
	// Field is the full name of its field; empty for a signature that only the
	// catalogue's permissions name, as usage rights are.
	Field    string
	FieldRef pdf.Ref
	// Ref is the signature dictionary, zero if that is no object of its own.
	Ref pdf.Ref

	// Type is Sig (also where it is not given) or DocTimeStamp.
	Type, Filter, SubFilter string
	// ByteRange is zero where it does not have four numbers.
	ByteRange [4]int64
	// Contents is the octet string, padding included.
	Contents []byte
	// M is the claimed time, zero where there is none that can be read.
	M                                   time.Time
	Name, Reason, Location, ContactInfo string

	// Permission is that of the DocMDP transform, 0 if there is none.
	Permission Permission
	// Certification says that the catalogue names it as the document's.
	Certification bool
	// UsageRights says that it grants rights to viewers.
	UsageRights bool
	// Locks are its FieldMDP transforms and its field's lock.
	Locks []Lock

	// Page is where there is something to see of it, from 1; 0 is nowhere. Rect
	// is in default user space.
	Page int
	Rect [4]float64

	// Revision is the index in the document's revisions of the one that ends
	// where the ByteRange ends; -1 if none does.
	Revision int
	// Whole says that the ByteRange covers this whole revision but for exactly
	// the value of Contents of this dictionary.
	Whole bool
}

// Lock is a set of fields that a signature locks, and what else it permits.
type Lock struct {
	// Action is All, Include or Exclude.
	Action string
	Fields []string
	// Permission is 0 where the lock says nothing of the document.
	Permission Permission
}

// Covers says whether the lock holds for the field of a full name.
func (l Lock) Covers(name string) bool {
	return lock{action: pdf.Name(l.Action), fields: l.Fields}.covers(name)
}

// CMS is what Contents hold, without the padding; maybe BER, as some signers write.
func (s *Signature) CMS() ([]byte, error) {
	der, err := cms.Trim(s.Contents)
	if err != nil {
		return nil, fmt.Errorf("reading the contents of %s: %w", s.Field, err)
	}
	return der, nil
}

// Signatures lists what the fields of the form hold, in the order of the
// revisions that they end, and then what only the catalogue names.
func Signatures(f *pdf.File) ([]*Signature, error) {
	m, err := readForm(f)
	if err != nil {
		return nil, err
	}
	pages, err := f.Pages()
	if err != nil {
		return nil, err
	}
	var out []*Signature
	for _, fd := range m.fields {
		s, err := m.read(fd)
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		if s.Page, s.Rect, err = m.place(fd, pages); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b *Signature) int { return int(min(max(a.end()-b.end(), -1), 1)) })
	if out, err = m.readPerms(out); err != nil {
		return nil, err
	}
	for _, s := range out {
		if err := s.findRevision(f); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Signature) end() int64 { return s.ByteRange[2] + s.ByteRange[3] }

// read reads the signature in a field; nil if it is empty.
func (m *form) read(fd *field) (*Signature, error) {
	dict, err := m.signature(fd)
	if err != nil || dict == nil {
		return nil, err
	}
	s := &Signature{Field: fd.name, FieldRef: fd.ref}
	s.Ref, _ = fd.value.(pdf.Ref) // zero says that it is none
	if err := m.readDict(s, dict); err != nil {
		return nil, err
	}
	lock, err := m.file.Dict(fd.dict["Lock"])
	if err != nil || len(lock) == 0 {
		return s, err
	}
	return s, m.addLock(s, lock)
}

// readPerms marks the certification, and adds what is in no field.
func (m *form) readPerms(known []*Signature) ([]*Signature, error) {
	_, catalog := m.file.Catalog()
	perms, err := m.file.Dict(catalog["Perms"])
	if err != nil {
		return nil, err
	}
	for _, key := range []pdf.Name{"DocMDP", "UR3", "UR"} {
		dict, err := m.file.Dict(perms[key])
		if err != nil {
			return nil, err
		}
		if len(dict) == 0 {
			continue
		}
		id, _ := perms[key].(pdf.Ref) // zero says that it is none
		at := slices.IndexFunc(known, func(s *Signature) bool { return s.Ref == id && id != pdf.Ref{} })
		if at < 0 {
			s := &Signature{Ref: id}
			if err := m.readDict(s, dict); err != nil {
				return nil, err
			}
			at, known = len(known), append(known, s)
		}
		known[at].Certification = known[at].Certification || key == "DocMDP"
		known[at].UsageRights = known[at].UsageRights || key != "DocMDP"
	}
	return known, nil
}

// readDict reads a signature dictionary (ISO 32000-2, table 255).
func (m *form) readDict(s *Signature, dict pdf.Dict) error {
	for key, to := range map[pdf.Name]*string{"Type": &s.Type, "Filter": &s.Filter, "SubFilter": &s.SubFilter} {
		name, err := m.file.Name(dict[key])
		if err != nil {
			return err
		}
		*to = string(name)
	}
	if s.Type == "" {
		s.Type = "Sig"
	}
	for key, to := range map[pdf.Name]*string{
		"Name": &s.Name, "Reason": &s.Reason, "Location": &s.Location, "ContactInfo": &s.ContactInfo,
	} {
		text, err := m.file.Resolve(dict[key])
		if err != nil {
			return err
		}
		if v, ok := text.(pdf.String); ok {
			*to = pdf.DecodeText(v)
		}
	}
	contents, err := m.file.String(dict["Contents"])
	if err != nil {
		return err
	}
	s.Contents = []byte(contents)
	claimed, err := m.file.Resolve(dict["M"])
	if err != nil {
		return err
	}
	if v, ok := claimed.(pdf.String); ok {
		s.M, _ = pdf.ParseDate(v)
	}
	if err := m.readByteRange(s, dict["ByteRange"]); err != nil {
		return err
	}
	return m.readReferences(s, dict["Reference"])
}

func (m *form) readByteRange(s *Signature, o pdf.Object) error {
	members, err := m.file.Array(o)
	if err != nil || len(members) != len(s.ByteRange) {
		return err
	}
	var out [4]int64
	for i, member := range members {
		value, err := m.file.Resolve(member)
		if err != nil {
			return err
		}
		n, ok := value.(int64)
		if !ok || n < 0 || n > m.file.Size() {
			return nil
		}
		out[i] = n
	}
	s.ByteRange = out
	return nil
}

func (m *form) readReferences(s *Signature, o pdf.Object) error {
	return m.transforms(o, func(method pdf.Name, params pdf.Dict) error {
		switch method {
		case "DocMDP":
			p := permissions{level: Any}
			err := m.deny(&p, params, FillAndSign)
			s.Permission = p.level
			return err
		case "FieldMDP":
			return m.addLock(s, params)
		case "UR", "UR3":
			s.UsageRights = true
		}
		return nil
	})
}

func (m *form) addLock(s *Signature, dict pdf.Dict) error {
	l, err := m.readLock(dict)
	if err != nil {
		return err
	}
	p := permissions{level: Any}
	if err := m.deny(&p, dict, Any); err != nil {
		return err
	}
	out := Lock{Fields: l.fields}
	if action, ok := l.action.(pdf.Name); ok {
		out.Action = string(action)
	}
	if p.level != Any {
		out.Permission = p.level
	}
	same := func(k Lock) bool {
		return k.Action == out.Action && k.Permission == out.Permission && slices.Equal(k.Fields, out.Fields)
	}
	if !slices.ContainsFunc(s.Locks, same) {
		s.Locks = append(s.Locks, out)
	}
	return nil
}

// findRevision finds what the ByteRange covers. A signature over anything but
// its whole revision lets something be exchanged (the attacks of ISO 32000-2,
// 12.8.1, note 6): that its gap is the value of its own Contents, no more and no
// less, is read off the file, not believed.
func (s *Signature) findRevision(f *pdf.File) error {
	s.Revision = -1
	if s.ByteRange == [4]int64{} || s.end() > f.Size() {
		return nil
	}
	for i, r := range f.Revisions() {
		ends, err := endsAt(f, r.End, s.end())
		if err != nil {
			return err
		}
		if ends {
			s.Revision = i
			break
		}
	}
	if s.ByteRange[0] != 0 || s.Ref == (pdf.Ref{}) {
		return nil
	}
	from, to, ok, err := f.Locate(s.Ref, "Contents")
	if err != nil {
		return err
	}
	s.Whole = s.Revision >= 0 && ok && s.ByteRange[1] == from && s.ByteRange[2] == to
	return nil
}

// endsAt says whether a revision ends there: some signers leave out the end of
// line behind the last marker.
func endsAt(f *pdf.File, end, at int64) (bool, error) {
	if at > end || at < end-2 {
		return false, nil
	}
	rest := make([]byte, end-at)
	if _, err := f.Reader().ReadAt(rest, at); err != nil && len(rest) > 0 {
		return false, policies.Refuse(policies.DocumentDamaged, "reason", "short read")
	}
	return len(bytes.Trim(rest, "\r\n")) == 0, nil
}
