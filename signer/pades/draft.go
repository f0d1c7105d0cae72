package pades

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/big"
	"strconv"
	"strings"

	"github.com/digitorus/pdf"
	"github.com/digitorus/pdfsign/sign"
)

// draft is one run of pdfsign and what is made of it. Of its update the
// signature dictionary and the field are kept, with texts overwritten in the
// width of placeholders. The catalogue and the cross-reference, where pdfsign
// loses or garbles entries, are written anew behind them.
type draft struct {
	before   *Inspection
	options  Options
	original int
	content  []byte
	layout   Layout
	objects  [3]written // signature dictionary, field, catalogue
	field    string
}

// written is an object of the update.
type written struct{ number, offset int }

func (w written) ref() ref { return ref{w.number, 0} }

// fieldPlaceholder is what pdfsign calls the first field that it makes.
const fieldPlaceholder = "(Signature 1)"

func (d *draft) write(content []byte) error {
	out, err := d.run(content)
	if err != nil {
		return err
	}
	// pdfsign looks for its own placeholders in the whole document, and a
	// document may contain them.
	if !bytes.HasPrefix(out, content) {
		return unsupported("the document's own octets would change")
	}
	update := bytes.Clone(out[len(content):])
	if update, err = d.finish(update); err != nil {
		return err
	}
	if err := d.fillIn(update); err != nil {
		return err
	}
	d.content = append(bytes.Clone(content), update...)
	copy(d.content[d.layout.ByteRangeAt:], d.layout.byteRange())
	if err := d.layout.Check(d.content); err != nil {
		return unsupported(err.Error())
	}
	return d.layout.FixTime(d.content, d.options.Time)
}

// run has pdfsign write its update with a key that is none. It panics on some
// inputs; worse ends are the document worker's to contain.
func (d *draft) run(content []byte) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = damaged("pdfsign gave up")
		}
	}()
	reader, err := pdf.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, unsupported("pdfsign cannot read it")
	}
	var buffer bytes.Buffer
	c := sign.SignContext{
		PDFReader:  reader,
		InputFile:  bytes.NewReader(content),
		OutputFile: &buffer,
		SignData: sign.SignData{
			Signature: sign.SignDataSignature{
				CertType: sign.ApprovalSignature,
				Info: sign.SignDataSignatureInfo{
					Name:     placeholder(d.options.Name),
					Reason:   placeholder(d.options.Reason),
					Location: placeholder(d.options.Location),
					Date:     d.options.Time,
				},
			},
			Signer:          nobody{},
			DigestAlgorithm: crypto.SHA256,
			Certificate:     nobody{}.certificate(),
			SubFilter:       sign.SubFilterETSICAdESDetached,
		},
		SignatureMaxLengthBase: uint32(2 * d.options.Hole), //nolint:gosec // at most maxHole
	}
	if err := c.SignPDF(); err != nil {
		return nil, unsupported("pdfsign cannot sign it")
	}
	return buffer.Bytes(), nil
}

// placeholder is as long as textString's form of s without brackets; pdfsign puts its own around.
func placeholder(s string) string {
	if s == "" {
		return ""
	}
	return strings.Repeat("x", len(textString(s))-2)
}

// finish keeps the first two objects of pdfsign's update and writes the rest.
func (d *draft) finish(update []byte) ([]byte, error) {
	rest := 0
	for i, head := range []string{"<<\n /Type /Sig\n", "<<\n  /Type /Annot\n", "<<\n  /Type /Catalog\n"} {
		at := bytes.Index(update[rest:], []byte(" 0 obj\n"+head))
		if at < 0 {
			return nil, unsupported("the update is not as expected")
		}
		rest += at
		header := bytes.LastIndexByte(update[:rest], '\n') + 1
		number, err := strconv.Atoi(string(update[header:rest]))
		if _, taken := d.before.file.xref[number]; err != nil || taken || number > maxObjects {
			return nil, unsupported("the update is not as expected")
		}
		d.objects[i] = written{number, d.original + header}
	}
	catalog := d.newCatalog()
	out := fmt.Appendf(update[:rest:rest], " 0 obj\n%s\nendobj\n", catalog)
	return d.crossReference(out), nil
}

// newCatalog is the document's catalogue with the new field, and nothing else
// changed but what a signature needs: SigFlags 3 (ISO 32000-2, table 225) and
// a version of at least 1.5 for the form's entries.
func (d *draft) newCatalog() []byte {
	catalog, form := maps.Clone(d.before.catalog), maps.Clone(d.before.form)
	form["Fields"] = append(append(array{}, d.before.fields...), d.objects[1].ref())
	form["SigFlags"] = int64(3)
	catalog["AcroForm"] = form
	declared, ok := catalog["Version"].(name)
	if header := string(d.before.file.data[5:8]); header < "1.5" && (!ok || declared < "1.5") {
		catalog["Version"] = name("1.5")
	}
	return appendObject(nil, catalog)
}

// crossReference appends a section of the kind that the document's newest one
// has (ISO 32000-2, 7.5.8.4 lets them not be mixed without need) and the end of the file.
func (d *draft) crossReference(update []byte) []byte {
	file, objects := d.before.file, d.objects[:]
	start := d.original + len(update)
	if file.streamed {
		objects = append(objects, written{d.objects[2].number + 1, start})
	}
	trailer := maps.Clone(file.trailer)
	for _, key := range []name{"Type", "W", "Index", "Length", "Filter", "DecodeParms"} {
		delete(trailer, key)
	}
	size, _ := trailer["Size"].(int64)
	trailer["Root"] = d.objects[2].ref()
	trailer["Prev"] = int64(file.start)
	trailer["Size"] = max(size, int64(objects[len(objects)-1].number+1))
	if file.streamed {
		update = appendStream(update, trailer, objects)
	} else {
		update = append(update, "xref\n"...)
		for _, o := range objects {
			update = fmt.Appendf(update, "%d 1\n%010d 00000 n \n", o.number, o.offset)
		}
		update = append(appendObject(append(update, "trailer\n"...), trailer), '\n')
	}
	return fmt.Appendf(update, "startxref\n%d\n%%%%EOF\n", start)
}

// appendStream writes a cross-reference stream, which lists itself last.
func appendStream(update []byte, trailer dict, objects []written) []byte {
	var entries []byte
	index := array{}
	for _, o := range objects {
		index = append(index, int64(o.number), int64(1))
		entries = binary.BigEndian.AppendUint64(append(entries, 1), uint64(o.offset)) //nolint:gosec // an offset is positive
	}
	trailer["Type"] = name("XRef")
	trailer["W"] = array{int64(1), int64(8), int64(0)}
	trailer["Index"] = index
	trailer["Length"] = int64(len(entries))
	update = fmt.Appendf(update, "%d 0 obj\n", objects[len(objects)-1].number)
	update = append(appendObject(update, trailer), "\nstream\n"...)
	return append(append(update, entries...), "\nendstream\nendobj\n"...)
}

// fillIn overwrites the placeholders in the update and notes the layout.
func (d *draft) fillIn(update []byte) error {
	byteRange, err := once(update, byteRangeKey)
	if err != nil {
		return err
	}
	hole, err := once(update, contentsKey+"<")
	if err != nil {
		return err
	}
	start := hole + len(contentsKey)
	length := bytes.IndexByte(update[start:], '>')
	if length < 2*d.options.Hole {
		return unsupported("the update is not as expected")
	}
	end := start + length + 1
	copy(update[start+1:end-1], bytes.Repeat([]byte("0"), length-1))
	for key, value := range map[string]string{
		"/Name": d.options.Name, "/Reason": d.options.Reason, "/Location": d.options.Location,
	} {
		if value == "" {
			continue
		}
		at, err := once(update[end:], key+" ("+placeholder(value)+")")
		if err != nil {
			return err
		}
		copy(update[end+at+len(key)+1:], textString(value))
	}
	if d.field, err = d.before.fieldName(); err != nil {
		return err
	}
	title, err := once(update, "/T "+fieldPlaceholder)
	if err != nil {
		return err
	}
	copy(update[title+len("/T ("):], d.field)
	claimed, err := once(update, "/M (D:")
	if err != nil {
		return err
	}
	d.layout = Layout{
		Original:    d.original,
		ByteRangeAt: d.original + byteRange,
		HoleStart:   d.original + start,
		HoleEnd:     d.original + end,
		TimeAt:      d.original + claimed + len("/M ("),
		Size:        d.original + len(update),
	}
	// Our ByteRange may be shorter than pdfsign's: blank the rest.
	list := bytes.IndexByte(update[byteRange:], ']')
	if list < 0 || byteRange+list > hole || len(d.layout.byteRange()) > hole-byteRange {
		return unsupported("the update is not as expected")
	}
	for i := range update[byteRange : byteRange+list+1] {
		update[byteRange+i] = ' '
	}
	return nil
}

// nobody is the signer that pdfsign gets: it signs nothing with no key, and the
// result is thrown away.
type nobody struct{}

func (nobody) Public() crypto.PublicKey {
	return &ecdsa.PublicKey{Curve: elliptic.P256()}
}

func (nobody) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte{0}, nil
}

func (n nobody) certificate() *x509.Certificate {
	emptySequence := []byte{0x30, 0x00}
	return &x509.Certificate{
		Raw: emptySequence, RawIssuer: emptySequence, SerialNumber: big.NewInt(1),
		PublicKeyAlgorithm: x509.ECDSA, PublicKey: n.Public(),
	}
}

// checkAgain reads the result as a stranger's document and compares.
func (d *draft) checkAgain() error {
	after, err := inspect(d.content)
	if err != nil {
		return unsupported("the result cannot be read")
	}
	before := d.before
	for number, p := range before.file.xref {
		if after.file.xref[number] != p {
			return unsupported("an object would change")
		}
	}
	checks := []struct {
		ok     bool
		reason string
	}{
		{after.root == d.objects[2].ref(), "another catalogue"},
		{after.Signatures == before.Signatures+1, "no further signature"},
		{len(after.Pages) == len(before.Pages), "another number of pages"},
		{after.file.trailer["Prev"] == int64(before.file.start), "another previous cross-reference"},
		{after.names["."+d.field], "another field"},
	}
	for _, key := range []name{"ID", "Info"} {
		same := bytes.Equal(appendObject(nil, after.file.trailer[key]), appendObject(nil, before.file.trailer[key]))
		checks = append(checks, struct {
			ok     bool
			reason string
		}{same, "another trailer"})
	}
	size, ok := after.file.trailer["Size"].(int64)
	for number := range after.file.xref {
		ok = ok && int64(number) < size
	}
	checks = append(checks, struct {
		ok     bool
		reason string
	}{ok, "a wrong size"})
	for _, check := range checks {
		if !check.ok {
			return unsupported("the result has " + check.reason)
		}
	}
	return d.checkSignature(after)
}

// checkSignature finds the new signature the way a verifier does.
func (d *draft) checkSignature(after *Inspection) error {
	field, err := after.file.dict(d.objects[1].ref())
	if err != nil {
		return unsupported("the result has no readable field")
	}
	signature, err := after.file.dict(field["V"])
	if err != nil {
		return unsupported("the result has no readable signature")
	}
	covered, ok := integersWide(signature["ByteRange"])
	hole, isText := signature["Contents"].(text)
	claimed, isTime := signature["M"].(text)
	if !ok || covered != d.layout.ByteRange() || !isText || len(hole) != d.layout.Hole() ||
		signature["SubFilter"] != name("ETSI.CAdES.detached") ||
		!isTime || string(claimed) != d.options.Time.UTC().Format(timeLayout) {
		return unsupported("the result has another signature")
	}
	return nil
}

func integersWide(o object) (out [4]int, ok bool) {
	list, isArray := o.(array)
	if !isArray || len(list) != len(out) {
		return out, false
	}
	for i, member := range list {
		n, isInteger := member.(int64)
		if !isInteger {
			return out, false
		}
		out[i] = int(n)
	}
	return out, true
}
