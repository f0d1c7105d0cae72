package inspect_test

import (
	"testing"

	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// pages makes a document of many pages with texts of their own.
func pages(n int) objects {
	all := contract()
	kids := pdf.Array{ref(firstPage), ref(lastPage)}
	last, ok := all[lastPage].(pdf.Dict)
	if !ok {
		panic("no page")
	}
	for i := range n - 2 {
		page := last.Clone()
		page["Contents"] = ref(1000 + 2*i)
		all[1000+2*i], all[1001+2*i] = words("Otra cosa."), page
		kids = append(kids, ref(1001+2*i))
	}
	all[pageTree] = pdf.Dict{"Type": pdf.Name("Pages"), "Count": int64(n), "Kids": kids}
	return all
}

func BenchmarkFile(b *testing.B) {
	doc := sign(b, write(pages(1000)), mark{})
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		report(b, doc)
	}
}

func BenchmarkChanges(b *testing.B) {
	signed := sign(b, write(pages(1000)), mark{})
	newer := sign(b, signed, mark{})
	b.SetBytes(int64(len(newer)))
	for b.Loop() {
		if list := changes(b, signed, newer, inspect.Permission{}); len(list) != 1 {
			b.Fatalf("got %+v, want a signature", list)
		}
	}
}
