package inspect_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// FuzzFile: whatever the document is, inspection ends soon and says something
// that the policies know.
func FuzzFile(f *testing.F) {
	plain := write(contract())
	shadowed := contract()
	shadowTree(shadowed)
	signed := sign(f, plain, mark{reference: certify(2)})
	f.Add(plain)
	f.Add(write(shadowed))
	f.Add(signed)
	f.Add(sign(f, signed, mark{field: empty, drawing: "1 g 0 0 200 50 re f"}))
	f.Add(appendRevision(signed, objects{text: words("otro")}, pdf.Dict{"Root": ref(catalog)}))
	known := policies.DefaultDocumentRules()
	f.Fuzz(func(t *testing.T, doc []byte) {
		spent := cputest.Watch(t)
		file, err := pdf.Open(bytes.NewReader(doc), int64(len(doc)))
		if err != nil {
			return
		}
		found, err := inspect.File(file)
		if err != nil && !errors.As(err, new(*policies.Refusal)) {
			t.Errorf("File: got %v, want a refusal", err)
		}
		for _, finding := range found.Findings {
			if _, ok := known[finding.Code]; !ok {
				t.Errorf("finding %q is in no table", finding.Code)
			}
		}
		if took := spent(); took > 2*time.Second {
			t.Errorf("took %v for %d octets, want 2 s of the processor at most", took, len(doc))
		}
	})
}

// FuzzChanges: whatever is appended, comparing with what was there ends soon;
// and what appends nothing changes nothing.
func FuzzChanges(f *testing.F) {
	signed := sign(f, write(contract()), mark{})
	f.Add([]byte{})
	f.Add(sign(f, signed, mark{})[len(signed):])
	f.Add(appendRevision(signed, objects{text: words("otro")}, pdf.Dict{"Root": ref(catalog)})[len(signed):])
	f.Fuzz(func(t *testing.T, appended []byte) {
		spent := cputest.Watch(t)
		doc := append(bytes.Clone(signed), appended...)
		newer, err := pdf.Open(bytes.NewReader(doc), int64(len(doc)))
		if err != nil {
			return
		}
		list, err := inspect.Changes(open(t, signed), newer, inspect.Permission{})
		if err != nil && !errors.As(err, new(*policies.Refusal)) {
			t.Errorf("Changes: got %v, want a refusal", err)
		}
		if len(appended) == 0 && len(list) > 0 {
			t.Errorf("nothing was appended: got %+v", list)
		}
		if took := spent(); took > 2*time.Second {
			t.Errorf("took %v, want 2 s of the processor at most", took)
		}
	})
}
