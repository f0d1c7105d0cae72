package pades

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// AddEvidence makes an update with validation data (EN 319 142-1, 5.4.2): all
// of it in the DSS, and what is about one signature in the VRI dictionary too.
// What the document has already stays where it is and is not added again. The
// update is nil if there is nothing to add.
func AddEvidence(f *pdf.File, perSignature []VRI, common cades.Evidence) ([]byte, error) {
	d, err := readStore(f)
	if err != nil {
		return nil, err
	}
	if _, err := d.contents(); err != nil { // learns what there is
		return nil, err
	}
	all := common
	for _, v := range perSignature {
		all = all.Merge(v.Evidence)
	}
	u := f.NewUpdate()
	dict, changed, err := d.add(u, d.dict, all, storeKeys())
	if err != nil {
		return nil, err
	}
	vri := d.vri.Clone()
	for _, v := range perSignature {
		key := pdf.Name(v.Key())
		entry, err := f.Dict(vri[key])
		if err != nil {
			return nil, err
		}
		entry, more, err := d.add(u, entry, v.Evidence, vriKeys())
		if err != nil {
			return nil, err
		}
		if more {
			vri[key], changed = entry, true
		}
	}
	if !changed {
		return nil, nil
	}
	if len(vri) > 0 {
		dict["VRI"] = vri
	}
	d.place(u, dict)
	update, err := u.Bytes()
	if err != nil {
		return nil, fmt.Errorf("writing validation data: %w", err)
	}
	return update, checkEvidence(f, update, perSignature, all)
}

// add puts what is missing into the lists of a dictionary.
func (d *store) add(u *pdf.Update, dict pdf.Dict, e cades.Evidence, names keys) (pdf.Dict, bool, error) {
	out, changed := dict.Clone(), false
	var certificates [][]byte
	for _, c := range e.Certificates {
		certificates = append(certificates, c.Raw)
	}
	for i, list := range [...][][]byte{certificates, e.OCSPs, e.CRLs} {
		members, err := d.file.Array(dict[names[i]])
		if err != nil {
			return nil, false, err
		}
		before := len(members)
		for _, der := range list {
			sum := sha256.Sum256(der)
			ref, known := d.refs[sum]
			if !known {
				// Uncompressed: another version of a compressor would make
				// another document of the same evidence.
				ref = u.AddStream(pdf.Dict{}, der)
				d.refs[sum] = ref
			}
			if !slices.Contains(members, pdf.Object(ref)) {
				members = append(slices.Clip(members), ref)
			}
		}
		if len(members) > before {
			out[names[i]], changed = members, true
		}
	}
	return out, changed, nil
}

// place puts the DSS where it was, or makes it an object of its own.
func (d *store) place(u *pdf.Update, dict pdf.Dict) {
	root, catalog := d.file.Catalog()
	if ref, indirect := catalog["DSS"].(pdf.Ref); indirect {
		u.Set(ref, dict)
		return
	}
	dict["Type"] = pdf.Name("DSS")
	catalog = catalog.Clone()
	catalog["DSS"] = u.Add(dict)
	u.Set(root, catalog)
}

// checkEvidence reads the result as a stranger's document.
func checkEvidence(f *pdf.File, update []byte, perSignature []VRI, all cades.Evidence) error {
	after, err := f.Append(update)
	if err != nil {
		return strange("no readable structure")
	}
	got, err := DSS(after)
	if err != nil {
		return strange("no readable validation data")
	}
	ok := holds(got.Evidence, all)
	for _, v := range perSignature {
		ok = ok && holds(got.VRI[v.Key()], v.Evidence)
	}
	if !ok {
		return strange("other validation data")
	}
	return nil
}

// holds says whether e has everything that wanted has.
func holds(e, wanted cades.Evidence) bool {
	merged, alone := e.Merge(wanted), e.Merge(cades.Evidence{})
	return len(merged.Certificates) == len(alone.Certificates) &&
		len(merged.OCSPs) == len(alone.OCSPs) && len(merged.CRLs) == len(alone.CRLs)
}
