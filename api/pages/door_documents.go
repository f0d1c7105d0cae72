package pages

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// What of documents the pages show and hand over.

// within reads a number from 1 to n; anything else is 1.
func within(s string, n int) int {
	if i, err := strconv.Atoi(s); err == nil && i >= 1 && i <= n {
		return i
	}
	return 1
}

func reviewURL(id string, document, page int) string {
	return at(id, "revisar") + fmt.Sprintf("?documento=%d&pagina=%d", document, page)
}

// Pages are drawn at these densities: as they stand in the column, where an A4
// page has these dimensions, and enlarged, for those who ask. The browser keeps
// the place of the picture free and corrects other formats.
const (
	pageDPI    = 96
	pageWidth  = 794
	pageHeight = 1123
	largeDPI   = 180
	largeQuery = "ampliada"
	textQuery  = "texto"
	// versionQuery is read by nobody: it tells a browser that a picture is another.
	versionQuery = "v"
)

// textPreview is how much of a plain text is shown.
const textPreview = 64 << 10

func (d *Door) opened(c echo.Context, r signer.Request, doc signer.Document) (Opened, error) {
	o := Opened{Document: document(r, doc)}
	if doc.Pages == 0 {
		if !strings.HasPrefix(doc.MediaType, "text/plain") {
			return o, nil
		}
		f, err := d.Requests.Original(c.Request().Context(), r.ID, doc)
		if err != nil {
			return o, err
		}
		defer f.Close()
		o.Text, _ = documents.TextPreview(f, textPreview)
		return o, nil
	}
	o.Page = within(c.QueryParam("pagina"), doc.Pages)
	o.ImageURL = at(r.ID, "documento", strconv.Itoa(doc.Ordinal), "pagina", strconv.Itoa(o.Page)+".png")
	o.LargeURL = o.ImageURL + "?" + largeQuery + "=1"
	if requests.Stamped(doc) || doc.Revision > 0 { // whose picture changes, and browsers keep pictures
		version := fmt.Sprintf("%x", doc.Digest[:min(8, len(doc.Digest))])
		o.ImageURL += "?" + versionQuery + "=" + version
		o.LargeURL += "&" + versionQuery + "=" + version
	}
	o.Width, o.Height = pageWidth, pageHeight
	if o.Page > 1 {
		o.PrevURL = reviewURL(r.ID, doc.Ordinal, o.Page-1)
	}
	if o.Page < doc.Pages {
		o.NextURL = reviewURL(r.ID, doc.Ordinal, o.Page+1)
	}
	// The text is for those who cannot see the image. It takes a process to read
	// it, so it is read when asked for; without it the image still says everything.
	if c.QueryParam(textQuery) == "" {
		o.TextURL = reviewURL(r.ID, doc.Ordinal, o.Page) + "&" + textQuery + "=1#texto"
		return o, nil
	}
	f, err := d.Requests.Preview(c.Request().Context(), r.ID, doc)
	if err != nil {
		return o, err
	}
	defer f.Close()
	if text, err := d.Viewer.PageText(c.Request().Context(), f, o.Page); err == nil {
		o.Text = strings.TrimSpace(text)
	}
	// Whoever reads the text goes on reading it on the other pages.
	for _, turn := range []*string{&o.PrevURL, &o.NextURL} {
		if *turn != "" {
			*turn += "&" + textQuery + "=1#texto"
		}
	}
	return o, nil
}

func document(r signer.Request, doc signer.Document) Document {
	out := Document{
		Number: doc.Ordinal, Title: doc.Name, Kind: kind(doc), Size: doc.Size, Pages: doc.Pages,
		Fingerprint: fmt.Sprintf("%x", doc.SHA256),
		OpenURL:     reviewURL(r.ID, doc.Ordinal, 1),
		OriginalURL: at(r.ID, "documento", strconv.Itoa(doc.Ordinal), "original"),
		Stamped:     requests.Stamped(doc),
	}
	if doc.Given != nil {
		out.HashOnly, out.Fingerprint, out.OriginalURL = true, fmt.Sprintf("%x", doc.Given), ""
	}
	for _, code := range doc.Findings {
		out.Findings = append(out.Findings, policies.Finding{Code: policies.FindingCode(code)})
	}
	if lacking := requests.Lacking(doc); lacking != "" {
		out.Lacking = policies.Refuse(lacking)
	}
	return out
}

// kind names a document's type as people do.
func kind(doc signer.Document) string {
	if doc.MediaType == "application/pdf" {
		return "PDF"
	}
	if i := strings.LastIndexByte(doc.Name, '.'); i >= 0 && len(doc.Name)-i <= 6 {
		return strings.ToUpper(doc.Name[i+1:])
	}
	return doc.MediaType
}

func listed(r signer.Request, signed bool) []Document {
	list := make([]Document, len(r.Documents))
	for i, doc := range r.Documents {
		list[i] = document(r, doc)
		if signed && doc.Given == nil {
			list[i].SignedURL = at(r.ID, "documento", strconv.Itoa(doc.Ordinal), "firmado")
		}
	}
	return list
}

// readable is the document of the address, for the one who identified.
func (d *Door) readable(c echo.Context) (signer.Request, signer.Document, error) {
	r, err := d.Store.Request(c.Request().Context(), c.Param("id"))
	if err != nil {
		return r, signer.Document{}, err
	}
	if _, err := d.visitor(c, signer.ForSignature); err != nil {
		return r, signer.Document{}, err
	}
	n, err := strconv.Atoi(c.Param("n"))
	if err != nil || n < 1 || n > len(r.Documents) {
		return r, signer.Document{}, policies.Refuse(policies.NotFound)
	}
	return r, r.Documents[n-1], nil
}

func (d *Door) pageImage(c echo.Context) error {
	r, doc, err := d.readable(c)
	if err != nil {
		return err
	}
	page, err := strconv.Atoi(strings.TrimSuffix(c.Param("p"), ".png"))
	if err != nil || page < 1 || page > doc.Pages {
		return policies.Refuse(policies.NotFound)
	}
	ctx := c.Request().Context()
	f, err := d.Requests.Preview(ctx, r.ID, doc)
	if err != nil {
		return err
	}
	defer f.Close()
	dpi := pageDPI
	if c.QueryParam(largeQuery) != "" {
		dpi = largeDPI
	}
	image, err := d.Viewer.PageImage(ctx, f, page, dpi)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set("Cache-Control", "private, max-age=600")
	header.Set("X-Content-Type-Options", "nosniff")
	return c.Blob(http.StatusOK, "image/png", image)
}

func (d *Door) original(c echo.Context) error {
	r, doc, err := d.readable(c)
	if err != nil {
		return err
	}
	f, err := d.Requests.Original(c.Request().Context(), r.ID, doc)
	if err != nil {
		return err
	}
	return d.attach(c, requests.Result{Name: doc.Name, MediaType: doc.MediaType, File: f})
}

func (d *Door) signed(c echo.Context) error {
	r, doc, err := d.readable(c)
	if err != nil {
		return err
	}
	result, err := d.Requests.Result(c.Request().Context(), r, doc.Ordinal)
	if err != nil {
		return err
	}
	return d.attach(c, result)
}

// attach hands a file over for saving, never for showing: an applicant's HTML
// must not run under this origin.
func (d *Door) attach(c echo.Context, f requests.Result) error {
	defer f.File.Close()
	header := c.Response().Header()
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.FormatInt(f.File.Size(), 10))
	d.site.Patient(c, f.File.Size())
	return c.Stream(http.StatusOK, f.MediaType, f.File.Reader())
}
