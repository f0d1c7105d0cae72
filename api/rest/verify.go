package rest

import (
	"context"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/api/verification"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// either bounds a body by what it is: a document is streamed, JSON is held.
func either(site *api.Site, limits requests.Limits) echo.MiddlewareFunc {
	held := site.Accept(api.AcceptedBytes(2, limits.InlineBytes))
	streamed, tell := site.Stream(limits.DocumentBytes), ofAtMost(limits.DocumentBytes)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		small, large := held(next), tell(streamed(next))
		return func(c echo.Context) error {
			if kindOf(c.Request()) == echo.MIMEOctetStream {
				return large(c)
			}
			return small(c)
		}
	}
}

func kindOf(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if err != nil {
		return ""
	}
	return kind
}

// VerifySignatures implements ServerInterface.
func (d *door) VerifySignatures(c echo.Context, params VerifySignaturesParams) error {
	in, err := d.toVerify(c)
	defer func() {
		for _, f := range []*documents.File{in.Document, in.Content} {
			if f != nil {
				f.Close()
			}
		}
	}()
	if err != nil {
		return err
	}
	report, err := d.Verifications.Verify(c.Request().Context(), in)
	if err != nil {
		return err
	}
	return d.sendReport(c, value(params.Accept), report)
}

// toVerify takes in what is to be validated. What it returns with an error is to
// be closed, too.
func (d *door) toVerify(c echo.Context) (in verification.Input, err error) {
	ctx, application := c.Request().Context(), api.ClientOf(c).ID
	if kindOf(c.Request()) == echo.MIMEOctetStream {
		body := &arriving{r: c.Request().Body}
		if in.Document, err = documents.NewFile(body); body.broken != nil {
			err = body.broken
		}
		return in, err
	}
	var order NewVerification
	if _, err := decode(c, &order); err != nil {
		return in, err
	}
	in.Name = value(order.Name)
	if len(in.Name) > maxReportName {
		return in, malformed("/name")
	}
	if in.Document, err = d.file(ctx, application, order.Document, "/document"); err != nil || order.Content == nil {
		return in, err
	}
	in.Content, err = d.file(ctx, application, *order.Content, "/content")
	return in, err
}

// maxReportName is 200 letters of any kind.
const maxReportName = 800

func (d *door) file(ctx context.Context, application string, f VerifiedFile, at string) (*documents.File, error) {
	u := requests.Upload{Content: value(f.Content), ID: value(f.Upload)}
	switch {
	case (f.Content == nil) == (f.Upload == nil):
		return nil, malformed(at + "/content")
	case f.Upload != nil && !printable(u.ID):
		return nil, malformed(at + "/upload")
	}
	return d.Requests.TakeIn(ctx, application, u)
}

// sendReport sends a report in the form that is asked for. Of several that are, the first one
// known here is taken: nobody asks for a report by degrees.
func (d *door) sendReport(c echo.Context, accept string, r *verify.Report) error {
	header := c.Response().Header()
	header.Add(echo.HeaderVary, echo.HeaderAccept)
	locale := d.site.Messages(c).Locale()
	for wanted := range strings.SplitSeq(accept, ",") {
		switch kind, _, _ := mime.ParseMediaType(wanted); kind {
		case echo.MIMETextHTML:
			page, policy, err := d.Reports.ReportHTML(locale, r)
			if err != nil {
				return err
			}
			header.Set(echo.HeaderContentSecurityPolicy, policy)
			return c.HTMLBlob(http.StatusOK, page)
		case mediaPDF:
			pdf, err := d.Reports.ReportPDF(locale, r)
			if err != nil {
				return err
			}
			header.Set(echo.HeaderContentDisposition, attachment("informe.pdf"))
			return c.Blob(http.StatusOK, mediaPDF, pdf)
		case echo.MIMEApplicationJSON:
			return c.JSON(http.StatusOK, r)
		}
	}
	return c.JSON(http.StatusOK, r)
}

const mediaPDF = "application/pdf"
