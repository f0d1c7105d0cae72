package csc

import (
	"strings"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// item is one signature that signDoc is asked for.
type item struct {
	hash   []byte // as it was consented to
	how    manner
	wanted requests.Wanted
}

func lower(s string) string { return strings.ToLower(s) }

// items reads documentDigests or documents: one of them, not both (the sample of
// the documents, which has both, contradicts their text).
func (c call) items() (items []item, digests bool, err error) {
	hasDigests, hasDocuments := c.body.has("documentDigests"), c.body.has("documents")
	switch {
	case hasDigests && hasDocuments:
		return nil, false, invalid("Both documentDigests and documents parameters passed")
	case hasDigests:
		items, err = c.digestItems()
		return items, true, err
	case hasDocuments:
		items, err = c.documentItems()
		return items, false, err
	}
	return nil, false, invalid("Empty documentDigests and documents objects")
}

func (c call) digestItems() ([]item, error) {
	entries, ok := c.body.objects("documentDigests")
	if !ok {
		return nil, invalid("Invalid object parameter documentDigests")
	}
	var items []item
	for _, entry := range entries {
		// Of hashes the method's words are others than signHash's.
		hashes, err := entry.hashes("hashes", "hashes")
		if err != nil {
			return nil, err
		}
		common, err := entry.item(true)
		if err != nil {
			return nil, err
		}
		size, _ := digestOf(common.how.hash)
		for _, hash := range hashes {
			if len(hash) != size.Size() {
				return nil, invalid("Invalid digest value length")
			}
			common.hash = hash
			items = append(items, common)
		}
	}
	return bounded(items)
}

func (c call) documentItems() ([]item, error) {
	entries, ok := c.body.objects("documents")
	if !ok {
		return nil, invalid("Invalid array parameter documents")
	}
	items := make([]item, len(entries))
	for i, entry := range entries {
		text, given := entry.text("document")
		content, good := unbase64(text)
		if !given || !good || len(content) == 0 {
			return nil, invalid("Invalid Base64 documents string parameter")
		}
		var err error
		if items[i], err = entry.item(false); err != nil {
			return nil, err
		}
		hash, _ := digestOf(items[i].how.hash)
		h := hash.New()
		h.Write(content)
		items[i].hash, items[i].wanted.Content = h.Sum(nil), content
	}
	return bounded(items)
}

// bounded refuses none, more than a consent holds, and two ways of using a key.
func bounded(items []item) ([]item, error) {
	if len(items) == 0 {
		return nil, invalid("Empty documentDigests and documents objects")
	}
	if len(items) > requests.HashLimit {
		return nil, invalid("documentDigests or documents are not authorized by the SAD")
	}
	for _, it := range items {
		if it.how.scheme != items[0].how.scheme || it.how.rsa != items[0].how.rsa {
			return nil, invalidParameter("signAlgo")
		}
	}
	return items, nil
}

// item reads what both arrays have in common.
func (o object) item(digest bool) (item, error) {
	var (
		it  item
		err error
	)
	it.how, err = o.manner(words{hash: "hashAlgorithmOID", contradiction: "String parameter hashAlgorithmOID contradicts with signAlgo parameter"})
	if err != nil {
		return it, err
	}
	format, err := o.may("signature_format")
	if err != nil || format != "C" && format != "P" { // neither XAdES nor JAdES is built here
		return it, invalidParameter("signature_format")
	}
	it.wanted.Level = cades.BB
	if o.has("conformance_level") {
		name, _ := o.text("conformance_level")
		var known bool
		if it.wanted.Level, known = levelOf(name); !known {
			return it, invalidParameter("conformance_level")
		}
	}
	if digest && it.wanted.Level.AtLeast(reachOf(format)) {
		return it, invalidParameter("conformance_level")
	}
	if err := o.envelope(&it, format, digest); err != nil {
		return it, err
	}
	return it, o.properties(&it)
}

// reachOf is the first level that takes more than a digest: that of a PDF writes
// into the document, an archive of CAdES hashes it again.
func reachOf(format string) cades.Level {
	if format == "P" {
		return cades.BLT
	}
	return cades.BLTA
}

// certifying is DocMDP's permission of a certification signature: forms may be
// filled in and more signatures added (ISO 32000-2, 12.8.2.2).
const certifying = 2

// envelope reads signed_envelope_property; each format has a usual one.
func (o object) envelope(it *item, format string, digest bool) error {
	name := ""
	if o.has("signed_envelope_property") {
		var given bool
		if name, given = o.text("signed_envelope_property"); !given || name == "" {
			return invalidParameter("signed_envelope_property")
		}
	}
	switch {
	case format == "P" && (name == "" || lower(name) == "certification"):
		it.wanted.Format = signer.PAdES
		if !digest { // of a document that is elsewhere, whoever has it prepares it
			it.wanted.Options.Certify = certifying
		}
	case format == "P" && lower(name) == "revision":
		it.wanted.Format = signer.PAdES
	case format == "C" && (name == "" && !digest || lower(name) == "attached" && !digest):
		it.wanted.Format = signer.CAdESAttached
	case format == "C" && (name == "" || lower(name) == "detached"):
		it.wanted.Format = signer.CAdESDetached
	default:
		return invalidParameter("signed_envelope_property")
	}
	return nil
}

// properties reads signed_props: attributes of EN 319 122-1 and entries of EN
// 319 142-1 that a back end may set. Others are named in the refusal; signing
// time and certificate are this service's own.
func (o object) properties(it *item) error {
	if !o.has("signed_props") {
		return nil
	}
	list, ok := o.objects("signed_props")
	if !ok {
		return invalidParameter("signed_props")
	}
	var wrong []string
	for _, property := range list {
		name, _ := property.text("attribute_name")
		text, _ := property.text("attribute_value")
		value, decoded := unbase64(text)
		if name == "" || len(name) > 100 || !printable(name) {
			return invalidParameter("signed_props")
		}
		if !decoded || !it.set(name, string(value)) {
			wrong = append(wrong, name)
		}
	}
	if wrong != nil {
		return invalid("Invalid parameter signed_props (" + strings.Join(wrong, ", ") + ")")
	}
	return nil
}

// set takes one property, if it may be set in this format.
func (it *item) set(name, value string) bool {
	w := &it.wanted
	pdf := w.Format == signer.PAdES
	switch name {
	case "mime-type":
		w.Attributes.MimeType = value
		return !pdf && value != "" && len(value) <= 100
	case "commitment-type-indication":
		w.Attributes.Commitment = string(commitment(value))
		return w.Attributes.Commitment != ""
	case "signer-location":
		w.Attributes.Locality = value
		return !pdf && value != ""
	case "signature-policy-identifier":
		w.Attributes.Policy = signer.PolicyAGE19
		return value == "2.16.724.1.3.1.1.2.1.9"
	case "Location":
		w.Options.Location = value
		return pdf && value != ""
	case "Reason":
		w.Options.Reason = value
		return pdf && value != ""
	}
	return false
}

// commitment is the one with that OID (EN 319 122-1, 5.2.3: id-smime-cti).
func commitment(oid string) cades.Commitment {
	const arc = "1.2.840.113549.1.9.16.6."
	for number, c := range map[string]cades.Commitment{
		"1": cades.ProofOfOrigin, "2": cades.ProofOfReceipt, "3": cades.ProofOfDelivery,
		"4": cades.ProofOfSender, "5": cades.ProofOfApproval, "6": cades.ProofOfCreation,
	} {
		if oid == arc+number {
			return c
		}
	}
	return ""
}
