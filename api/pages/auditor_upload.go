package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
)

// Where there is no script, a file is sent here to be hashed. It is read once,
// in pieces, and neither stored nor kept: what is left of it is 32 bytes in the
// form that it was sent with.

const (
	// uploadLimit is the largest body that is hashed.
	uploadLimit = 2 << 30
	// fieldLimit and fieldsAtMost bound what comes beside the file.
	fieldLimit   = 1 << 10
	fieldsAtMost = 40
)

// upload is what was sent: the form's fields, and the fingerprint of the file.
type upload struct {
	fields map[string]string
	name   string // of the file
	hash   string // empty if none was chosen
}

// hashUpload puts the fingerprint of a file into the form that it came with.
func (d *AuditDoor) hashUpload(c echo.Context) error {
	reader, err := c.Request().MultipartReader()
	if err != nil {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed), err)
	}
	sent, err := receive(reader)
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: receiving a file: %w", policies.Refuse(policies.RequestMalformed), err)
	}
	form := searchForm(func(name string) string { return sent.fields[name] })
	if sent.hash == "" {
		view, err := d.searchView(c, form)
		if err != nil {
			return err
		}
		view.Fail(FieldFile, policies.Refuse(policies.QueryInvalid, "field", FieldFile, "reason", "file"))
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	form.Hash, form.File = groups(sent.hash), clip(sent.name)
	sealed, err := d.seal(c, form)
	if err != nil {
		return err
	}
	return seeOther(c, searchURL(draftParameter, sealed))
}

// receive reads the parts in the order in which they come.
func receive(reader *multipart.Reader) (upload, error) {
	sent := upload{fields: make(map[string]string)}
	for range fieldsAtMost {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil {
			return upload{}, err
		}
		if part.FormName() == FieldFile {
			err = sent.hashFile(part)
		} else {
			err = sent.keep(part)
		}
		if err != nil {
			return upload{}, err
		}
	}
	return upload{}, errors.New("more fields than the form has")
}

func (u *upload) hashFile(part *multipart.Part) error {
	hash := sha256.New()
	n, err := io.Copy(hash, part)
	if err != nil {
		return err
	}
	if n == 0 && part.FileName() == "" { // nothing chosen
		return nil
	}
	// Some browsers send a path; it is told back to who sent it, and to nobody else.
	u.name = path.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
	u.hash = hex.EncodeToString(hash.Sum(nil))
	return nil
}

func (u *upload) keep(part *multipart.Part) error {
	value, err := io.ReadAll(io.LimitReader(part, fieldLimit+1))
	if err != nil {
		return err
	}
	if len(value) > fieldLimit {
		return fmt.Errorf("field %q is too long", part.FormName())
	}
	u.fields[part.FormName()] = string(value)
	return nil
}

// tooLarge tells of the limit beside the field.
func (d *AuditDoor) tooLarge(c echo.Context) View {
	view, err := d.searchView(c, SearchForm{})
	if err != nil {
		return &Trouble{Desk: d.desk(c, ""), Refusal: policies.Refuse(policies.DocumentTooLarge), HomeURL: auditPath}
	}
	view.Fail(FieldFile, policies.Refuse(policies.QueryInvalid, "field", FieldFile, "reason", "file_large"))
	return view
}
