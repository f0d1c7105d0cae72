package check_test

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"testing"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

// BenchmarkLog verifies 100,000 entries from memory, so that what is measured is
// the hashing. 1,000,000 must take less than a minute.
func BenchmarkLog(b *testing.B) {
	const size = 100_000
	l := audittest.New(b)
	at := l.Clock
	for i := range size {
		leaf, err := audit.Leaf{
			Type: audit.SignDone, Operation: strconv.Itoa(i), At: at, Commitment: sha256.Sum256(fmt.Append(nil, i)),
		}.Bytes()
		must(b, err)
		l.Records = append(l.Records, audit.Record{Seq: int64(i), Leaf: leaf})
	}
	l = l.Regrown(b)
	served := files(l.Files(b, size))
	c := check.Checker{Policy: l.Policy(b)}
	b.ReportAllocs()
	for b.Loop() {
		if r := verify(b, c, served); r.Verdict != check.Holds {
			b.Fatalf("got %+v", r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/entry")
}
