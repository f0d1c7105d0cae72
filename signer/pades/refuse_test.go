package pades_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
)

// refused says whether an error is the refusal that a test wants; empty is none.
func refused(err error, want policies.Code) bool {
	var refusal *policies.Refusal
	if want == "" {
		return err == nil
	}
	return errors.As(err, &refusal) && refusal.Code == want
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	solicitud := testdata(t, "solicitud.pdf")
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf("<</FT/Sig /T(s%d) /V<</Type/Sig>>>>", i)
	}
	refs := ""
	for i := range many {
		refs += fmt.Sprintf("%d 0 R ", i+4)
	}
	for name, tc := range map[string]struct {
		content []byte
		want    policies.Code // empty: signable
	}{
		"minimal":           {build("", catalog, pages, page), ""},
		"empty":             {nil, policies.DocumentEmpty},
		"a zip":             {[]byte("PK\x03\x04"), policies.DocumentNotPDF},
		"header alone":      {[]byte("%PDF-1.4\n"), policies.DocumentDamaged},
		"bytes before":      {append([]byte("\n"), solicitud...), policies.DocumentUnsupported},
		"truncated":         {solicitud[:len(solicitud)*2/3], policies.DocumentDamaged},
		"little garbage":    {append(bytes.Clone(solicitud), "basura\x00\xff basura"...), ""},
		"encrypted":         {build("/Encrypt 4 0 R", catalog, pages, page, "<</Filter/Standard>>"), policies.DocumentEncrypted},
		"field loop":        {withForm("/Fields[4 0 R]", "<</T(a) /Kids[4 0 R]>>"), policies.DocumentUnsupported},
		"field twice":       {withForm("/Fields[4 0 R 4 0 R]", "<</T(a) /FT/Tx>>"), policies.DocumentUnsupported},
		"direct field":      {withForm("/Fields[<</T(a) /FT/Tx>>]"), policies.DocumentUnsupported},
		"fields to nothing": {withForm("/Fields[9 0 R null]"), ""},
		"form is a number":  {build("", "<</Type/Catalog /Pages 2 0 R /AcroForm 7>>", pages, page), policies.DocumentDamaged},
		"fields is a name":  {withForm("/Fields/All"), policies.DocumentDamaged},
		"1,001 signatures":  {withForm("/Fields["+refs+"]", many...), policies.DocumentTooComplex},
		"page tree loop":    {build("", catalog, "<</Type/Pages /Kids[2 0 R]>>"), policies.DocumentDamaged},
		"no pages":          {build("", catalog, "<</Type/Pages /Kids[]>>"), policies.DocumentDamaged},
		"annotations no array": {
			build("", catalog, pages, "<</Type/Page /Parent 2 0 R /Annots/None>>"), policies.DocumentDamaged,
		},
		"deep nesting": {
			build("", "<</Type/Catalog /Pages 2 0 R /X "+strings.Repeat("[", 100_000)+">>", pages, page), policies.DocumentDamaged,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spent := cputest.Watch(t)
			_, err := prepare(tc.content, options())
			if took := spent(); took > bounded {
				t.Errorf("took %v", took)
			}
			if !refused(err, tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestPermissions: what those who signed before let be changed is honoured.
func TestPermissions(t *testing.T) {
	t.Parallel()
	const signed, empty = "<</FT/Sig /T(a) /V 5 0 R %s>>", " /Fields[4 0 R 6 0 R]"
	transform := func(method, params string) string {
		return "<</Type/Sig /Reference[<</TransformMethod/" + method + " /TransformParams<<" + params + ">>>>]>>"
	}
	with := func(lock, signature, field string) []byte {
		return withForm(empty, fmt.Sprintf(signed, lock), signature, field)
	}
	perms := func(key, signature string) []byte {
		return build("", "<</Type/Catalog /Pages 2 0 R /Perms<</"+key+" 4 0 R>>>>", pages, page, signature)
	}
	const plain, field = "<</Type/Sig>>", "<</FT/Sig /T(b) /Type/Annot /Subtype/Widget /Rect[10 10 200 60] /P 3 0 R>>"
	fill := pades.Options{Field: "b"}
	certify := pades.Options{Certify: pades.FillAndSign}
	visible := pades.Options{Stamp: stamped(stamp.TopLeft)}
	fillVisibly := pades.Options{Field: "b", Stamp: stamped(stamp.InField)}
	const no, yes = policies.DocumentCertified, policies.Code("")
	for name, tc := range map[string]struct {
		content []byte
		options pades.Options
		want    policies.Code
	}{
		"approval":                     {with("", plain, field), fill, yes},
		"certify a signed one":         {with("", plain, field), certify, no},
		"certify":                      {withForm("/Fields[4 0 R]", field), certify, yes},
		"certify a field":              {withForm("/Fields[4 0 R]", field), pades.Options{Certify: 1, Field: "b"}, yes},
		"P=1":                          {perms("DocMDP", transform("DocMDP", "/P 1")), pades.Options{}, no},
		"P=0":                          {perms("DocMDP", transform("DocMDP", "/P 0")), pades.Options{}, no},
		"P=2":                          {perms("DocMDP", transform("DocMDP", "/P 2")), pades.Options{}, yes},
		"P=2, certify":                 {perms("DocMDP", transform("DocMDP", "/P 2")), certify, no},
		"P=2, visible":                 {perms("DocMDP", transform("DocMDP", "/P 2")), visible, no},
		"P not given, visible":         {perms("DocMDP", transform("DocMDP", "")), visible, no},
		"P=3, visible":                 {perms("DocMDP", transform("DocMDP", "/P 3")), visible, yes},
		"P=1 in a field":               {with("", transform("DocMDP", "/P 1"), field), fill, no},
		"P=2 in a field, fill":         {with("", transform("DocMDP", "/P 2"), field), fillVisibly, yes},
		"lock with P=1":                {with("/Lock<</Action/Include /Fields[] /P 1>>", plain, field), fill, no},
		"lock with P=3":                {with("/Lock<</Action/Include /Fields[] /P 3>>", plain, field), fill, yes},
		"lock without P":               {with("/Lock<</Action/Include /Fields[(x)]>>", plain, field), fill, yes},
		"lock of all":                  {with("/Lock<</Action/All>>", plain, field), fill, no},
		"lock of all, new":             {with("/Lock<</Action/All>>", plain, field), pades.Options{}, no},
		"lock of this":                 {with("", transform("FieldMDP", "/Action/Include /Fields[(x)(b)]"), field), fill, no},
		"lock of others":               {with("", transform("FieldMDP", "/Action/Include /Fields[(x)]"), field), fill, yes},
		"lock of all but this":         {with("", transform("FieldMDP", "/Action/Exclude /Fields[(b)]"), field), fill, yes},
		"lock of all but others":       {with("", transform("FieldMDP", "/Action/Exclude /Fields[(x)]"), field), fill, no},
		"lock of the new name":         {with("", transform("FieldMDP", "/Action/Include /Fields[(Rubrica-3)]"), field), pades.Options{}, yes},
		"lock not signed yet":          {withForm("/Fields[4 0 R]", field[:len(field)-2]+"/Lock<</Action/All /P 1>>>>"), fill, yes},
		"read-only":                    {withForm("/Fields[4 0 R]", field[:len(field)-2]+"/Ff 1>>"), fill, no},
		"usage rights":                 {perms("UR3", transform("UR3", "/Document[/FullSave]")), pades.Options{}, yes},
		"usage rights that restrict":   {perms("UR3", transform("UR3", "/P true /Document[/FullSave]")), pades.Options{}, no},
		"usage rights to sign":         {perms("UR3", transform("UR3", "/P true /Signature[/Modify]")), pades.Options{}, yes},
		"usage rights do not certify":  {perms("UR3", transform("UR3", "/Signature[/Modify]")), certify, yes},
		"unknown field":                {with("", plain, field), pades.Options{Field: "c"}, policies.FieldUnknown},
		"signed field":                 {with("", plain, field), pades.Options{Field: "a"}, policies.FieldUnknown},
		"stamp in no field":            {with("", plain, field), pades.Options{Stamp: stamped(stamp.InField)}, policies.StampInvalid},
		"stamp beside its field":       {with("", plain, field), pades.Options{Field: "b", Stamp: stamped(stamp.TopLeft)}, policies.StampInvalid},
		"stamp in an invisible field":  {withForm("/Fields[4 0 R]", "<</FT/Sig /T(b) /Subtype/Widget /Rect[0 0 0 0] /P 3 0 R>>"), fillVisibly, policies.StampInvalid},
		"stamp in a hidden field":      {withForm("/Fields[4 0 R]", field[:len(field)-2]+"/F 2>>"), fillVisibly, policies.StampInvalid},
		"stamp in a field on no page":  {withForm("/Fields[4 0 R]", strings.Replace(field, "/P 3 0 R", "", 1)), fillVisibly, policies.StampInvalid},
		"stamp in a field too small":   {withForm("/Fields[4 0 R]", strings.Replace(field, "200 60", "20 16", 1)), fillVisibly, policies.StampInvalid},
		"stamp in a field":             {withForm("/Fields[4 0 R]", field), fillVisibly, yes},
		"stamp on page 2":              {build("", catalog, pages, page), pades.Options{Stamp: &stamp.Options{Page: 2, Place: stamp.TopLeft, Name: "N"}}, policies.StampInvalid},
		"stamp on the second to last":  {build("", catalog, pages, page), pades.Options{Stamp: &stamp.Options{Page: -2, Place: stamp.TopLeft, Name: "N"}}, policies.StampInvalid},
		"stamp nowhere":                {build("", catalog, pages, page), pades.Options{Stamp: &stamp.Options{Page: 1, Name: "N"}}, policies.StampInvalid},
		"stamp outside":                {build("", catalog, pages, page), pades.Options{Stamp: &stamp.Options{Page: 1, Place: stamp.FreeRect, Rect: [4]float64{500, 10, 700, 90}, Name: "N"}}, policies.StampInvalid},
		"seed: another filter":         {seeded("/Filter/Other /Ff 1"), fill, policies.DocumentUnsupported},
		"seed: a filter, not required": {seeded("/Filter/Other"), fill, yes},
		"seed: PKCS #7 only":           {seeded("/SubFilter[/adbe.pkcs7.detached] /Ff 2"), fill, policies.DocumentUnsupported},
		"seed: CAdES too":              {seeded("/SubFilter[/adbe.pkcs7.detached/ETSI.CAdES.detached] /Ff 2"), fill, yes},
		"seed: a reason":               {seeded("/Reasons[(Conforme)] /Ff 8"), fill, policies.DocumentUnsupported},
		"seed: this reason":            {seeded("/Reasons[(Conforme)] /Ff 8"), pades.Options{Field: "b", Reason: "Conforme"}, yes},
		"seed: certification":          {seeded("/MDP<</P 2>>"), fill, policies.DocumentUnsupported},
		"seed: certification done":     {seeded("/MDP<</P 2>>"), pades.Options{Field: "b", Certify: 2}, yes},
		"seed: a certificate":          {seeded("/Cert<</Ff 1>>"), fill, policies.DocumentUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := prepare(tc.content, tc.options); !refused(err, tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// seeded is a document whose field demands something of its signature.
func seeded(demands string) []byte {
	return withForm("/Fields[4 0 R]", "<</FT/Sig /T(b) /SV<<"+demands+">>>>")
}

func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]pades.Options{
		"hole below 0":  {Hole: -1},
		"hole too deep": {Hole: 1<<20 + 1},
		"permission":    {Certify: pades.Any},
		"long name":     {Name: strings.Repeat("x", 600)},
		"no UTF-8":      {Reason: "\xff"},
		"year 10000":    {Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if _, err := prepare(build("", catalog, pages, page), o); !errors.Is(err, pades.ErrOptions) {
			t.Errorf("%s: got %v, want %v", name, err, pades.ErrOptions)
		}
	}
}

// TestTimeStampAlwaysAllowed: a document time-stamp is no change (ISO 32000-2, 12.8.2.2.2).
func TestTimeStampAlwaysAllowed(t *testing.T) {
	t.Parallel()
	content := build("", "<</Type/Catalog /Pages 2 0 R /Perms<</DocMDP 4 0 R>>>>", pages, page,
		"<</Type/Sig /Reference[<</TransformMethod/DocMDP /TransformParams<</P 1>>>>]>>")
	if _, err := pades.PrepareTimeStamp(parse(t, content), 0); err != nil {
		t.Errorf("PrepareTimeStamp: %v", err)
	}
}
