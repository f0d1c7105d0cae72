package audit

import (
	"fmt"
	"slices"
	"sync"
)

// Schema says what an entry of one type holds. Beside its fields every payload
// may commit to "person", whom it is about.
type Schema struct {
	Type   EventType
	Result Result
	Means  string
	Fields []Field
}

// Result is the class of outcome that a type of event stands for.
type Result string

// The classes.
const (
	ResultNone        Result = "" // it begins something, or tells of something
	ResultSucceeded   Result = "succeeded"
	ResultRefused     Result = "refused"     // by a rule, or by the citizen
	ResultFailed      Result = "failed"      // a wrong factor, or a technical failure
	ResultInterrupted Result = "interrupted" // begun, and never ended
	ResultExpired     Result = "expired"
)

// Kind is what a field holds.
type Kind string

// The kinds. Integers are whole and below 2^53. Phone and Mail hold masked
// ones and nothing else. An Object has the fields that it names, and Words has
// any, each a string. A List is of what Each says, of objects if that is empty.
const (
	KindString  Kind = "string"
	KindInteger Kind = "integer"
	KindBoolean Kind = "boolean"
	KindTime    Kind = "time" // RFC 3339
	KindDate    Kind = "date" // year-month-day
	KindHex     Kind = "hex"  // lower case
	KindPhone   Kind = "phone"
	KindMail    Kind = "mail"
	KindWords   Kind = "words"
	KindObject  Kind = "object"
	KindList    Kind = "list"
)

// Field is one fact of a payload.
type Field struct {
	Name     string
	Kind     Kind
	Optional bool
	// Former fields were written by older versions and no longer are.
	Former bool
	// Values are all that the field, or each of a list, may say; empty: anything.
	Values []string
	// Term is the kind of search term that the field is; empty if none.
	Term  string
	Means string
	// Fields are those of an object, or of each object of a list; Each is what
	// another list is of.
	Fields []Field
	Each   Kind
}

// The kinds of search terms.
const (
	TermApplication = "application" // client id
	TermCertificate = "certificate" // serial number: lower-case hexadecimal, no leading zeros
	TermDocument    = "document"    // SHA-256 of the document as the citizen saw it, lower-case hexadecimal
	TermReason      = "reason"      // a refusal's stable code
	TermCitizen     = "citizen"     // whom an auditor asked about
)

// House groups the schemas of one part of the service.
type House struct {
	Name    string
	Means   string
	Schemas []Schema
}

// Houses are all schemas, as they are to be read.
func Houses() []House {
	return []House{
		{"Citizens", "Registration, activation, and what becomes of a citizen's record.", citizenSchemas()},
		{"Own pages", "What citizens do for themselves.", append(ownSchemas(), consentSchemas()...)},
		{"Registration on line", "Certificates shown at the certificate door, and people on the way.", registrationSchemas()},
		{"Factors", "What people prove with, and each time that it does not hold.", factorSchemas()},
		{"Other ways in", "Cl@ve PIN, the invitation letter, the municipal card.", entranceSchemas()},
		{"Certificates and keys", "Of citizens; ceremonies of the service's own keys stand below.", certificateSchemas()},
		{"Signatures", "One request from its arrival to its outcome.", signatureSchemas()},
		{"Desk", "What officers look at and ask for, and why.", deskSchemas()},
		{"Officers", "Accounts of those who work at the desk, and how they enter.", officerSchemas()},
		{"Service", "Applications, offices, ceremonies, authorities, clock and processes.", serviceSchemas()},
		{"Log", "What happens to the log itself, and who asks it what.", logSchemas()},
	}
}

// SchemaOf is the schema of a type.
func SchemaOf(t EventType) (Schema, bool) {
	s, known := knownSchemas().byType[t]
	return s, known
}

// ResultOf is the class of outcome that a type stands for.
func ResultOf(t EventType) Result { return knownSchemas().byType[t].Result }

// Schemas are the schemas of all types.
func Schemas() []Schema { return slices.Clone(knownSchemas().list) }

type schemaIndex struct {
	list   []Schema
	byType map[EventType]Schema
}

// knownSchemas is built once and never changed: every append asks it.
var knownSchemas = sync.OnceValue(func() schemaIndex {
	index := schemaIndex{byType: map[EventType]Schema{}}
	for _, house := range Houses() {
		index.list = append(index.list, house.Schemas...)
	}
	for _, s := range index.list {
		if _, twice := index.byType[s.Type]; twice {
			panic(fmt.Sprintf("audit: two schemas for %s", s.Type))
		}
		index.byType[s.Type] = s
	}
	return index
})

func required(name string, kind Kind, means string) Field {
	return Field{Name: name, Kind: kind, Means: means}
}

func optional(name string, kind Kind, means string) Field {
	return Field{Name: name, Kind: kind, Means: means, Optional: true}
}

func former(name, means string) Field {
	return Field{Name: name, Kind: KindString, Means: means, Optional: true, Former: true}
}

// term makes a field one that is searched by.
func (f Field) term(kind string) Field { f.Term = kind; return f }

// one closes the list of what a field may say.
func (f Field) one(values ...string) Field { f.Values = values; return f }

// of names the fields of an object, or of each object of a list.
func (f Field) of(fields ...Field) Field { f.Fields = fields; return f }

// each says what a list is of.
func (f Field) each(kind Kind) Field { f.Each = kind; return f }

// with adds fields to those that several schemas share.
func with(shared []Field, more ...Field) []Field { return slices.Concat(shared, more) }
