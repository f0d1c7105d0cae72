package pades

import (
	"crypto/sha1" //nolint:gosec // names signatures in the VRI dictionary, and protects nothing
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

const (
	// maxEvidence bounds one certificate, answer or list of a document; the
	// longest lists of citizens' authorities have some megabytes.
	maxEvidence = 32 << 20
	// maxAllEvidence bounds them together.
	maxAllEvidence = 96 << 20
	// maxStreams bounds how many there are.
	maxStreams = 20_000
)

// VRI is validation data about one signature or document time-stamp.
type VRI struct {
	// Contents is the signature's octet string, padding included.
	Contents []byte
	cades.Evidence
}

// Key is the signature's name in the VRI dictionary (EN 319 142-1, 5.4.2.3).
func (v VRI) Key() string {
	sum := sha1.Sum(v.Contents) //nolint:gosec // see above
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// Store is what a document has in its document security store.
type Store struct {
	cades.Evidence
	// VRI is by VRI.Key.
	VRI map[string]cades.Evidence
}

// For gives all evidence that may be about a signature: a validator is free to
// use what stands under no signature's name.
func (s Store) For(contents []byte) cades.Evidence {
	return s.Merge(s.VRI[VRI{Contents: contents}.Key()])
}

// DSS reads a document's security store (ISO 32000-2, 12.8.4.3). Certificates
// that cannot be read are left out: a validator could not use them either.
func DSS(f *pdf.File) (Store, error) {
	d, err := readStore(f)
	if err != nil {
		return Store{}, err
	}
	return d.contents()
}

// keys name certificates, OCSP responses and CRLs in a dictionary.
type keys [3]pdf.Name

func storeKeys() keys { return keys{"Certs", "OCSPs", "CRLs"} } // ISO 32000-2, table 261
func vriKeys() keys   { return keys{"Cert", "OCSP", "CRL"} }    // table 262

// store is the DSS dictionary of a file.
type store struct {
	file *pdf.File
	dict pdf.Dict
	vri  pdf.Dict
	data map[pdf.Ref][]byte // of the streams read so far
	refs map[[sha256.Size]byte]pdf.Ref
	size int
}

func readStore(f *pdf.File) (*store, error) {
	_, catalog := f.Catalog()
	d := &store{file: f, data: map[pdf.Ref][]byte{}, refs: map[[sha256.Size]byte]pdf.Ref{}}
	var err error
	if d.dict, err = f.Dict(catalog["DSS"]); err != nil {
		return nil, err
	}
	d.vri, err = f.Dict(d.dict["VRI"])
	return d, err
}

func (d *store) contents() (Store, error) {
	out := Store{VRI: map[string]cades.Evidence{}}
	var err error
	if out.Evidence, err = d.evidence(d.dict, storeKeys()); err != nil {
		return out, err
	}
	for _, key := range d.vri.Keys() {
		// Type has been seen among the signatures' names.
		resolved, err := d.file.Resolve(d.vri[key])
		if err != nil {
			return out, err
		}
		entry, ok := resolved.(pdf.Dict)
		if !ok {
			continue
		}
		evidence, err := d.evidence(entry, vriKeys())
		if err != nil {
			return out, err
		}
		out.VRI[strings.ToUpper(string(key))] = evidence
	}
	return out, nil
}

// evidence reads the three lists of a dictionary.
func (d *store) evidence(dict pdf.Dict, names keys) (cades.Evidence, error) {
	var lists [len(names)][][]byte
	for i, key := range names {
		members, err := d.file.Array(dict[key])
		if err != nil {
			return cades.Evidence{}, err
		}
		for _, member := range members {
			data, err := d.read(member)
			if err != nil {
				return cades.Evidence{}, err
			}
			if data != nil {
				lists[i] = append(lists[i], data)
			}
		}
	}
	out := cades.Evidence{OCSPs: lists[1], CRLs: lists[2]}
	for _, der := range lists[0] {
		if c, err := x509.ParseCertificate(der); err == nil {
			out.Certificates = append(out.Certificates, c)
		}
	}
	return out, nil
}

// read gives the data of a stream, each read once; nil of anything else.
func (d *store) read(o pdf.Object) ([]byte, error) {
	ref, ok := o.(pdf.Ref)
	if !ok {
		return nil, nil
	}
	if data, known := d.data[ref]; known {
		return data, nil
	}
	resolved, err := d.file.Resolve(ref)
	if err != nil {
		return nil, err
	}
	s, ok := resolved.(*pdf.Stream)
	if !ok {
		return nil, nil
	}
	data, err := d.file.Data(s, maxEvidence)
	if err != nil {
		return nil, fmt.Errorf("reading validation data: %w", err)
	}
	if d.size += len(data); d.size > maxAllEvidence || len(d.data) >= maxStreams {
		return nil, policies.Refuse(policies.DocumentTooComplex, "reason", "too much validation data")
	}
	d.data[ref] = data
	if sum := sha256.Sum256(data); d.refs[sum] == (pdf.Ref{}) {
		d.refs[sum] = ref
	}
	return data, nil
}
