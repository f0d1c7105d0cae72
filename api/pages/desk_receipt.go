package pages

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json/v2"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
)

// receiptLife is how long the PDF of a receipt can be asked for. Its activation
// code is kept nowhere: it travels sealed with a key of the session, in the page
// that showed it, and is gone with that page.
const receiptLife = 15 * time.Minute

// showReceipt shows what the citizen takes home, the only time that it can be.
func (d *DeskDoor) showReceipt(c echo.Context, r RegistrationReceipt, home string) error {
	sealed, err := d.sealReceipt(c, r)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, &DeskReceipt{Desk: d.head(c, ""), Receipt: r, Sealed: sealed, PDFURL: deskReceiptPath, HomeURL: home})
}

// receipt draws the PDF of a receipt that this session has been shown.
func (d *DeskDoor) receipt(c echo.Context) error {
	r, err := d.unsealReceipt(c, c.FormValue(deskFieldSealed))
	if err != nil {
		return err
	}
	pdf, err := d.Pages.Receipt(d.Pages.Locale(c.Response(), c.Request()), r)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set(echo.HeaderContentDisposition, mime.FormatMediaType("inline", map[string]string{"filename": "resguardo.pdf"}))
	header.Set(echo.HeaderCacheControl, "no-store")
	return c.Blob(http.StatusOK, "application/pdf", pdf)
}

func (d *DeskDoor) receiptSealer(c echo.Context) (cipher.AEAD, error) {
	visit, err := d.Officers.Visit(c)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, visit.Hash, nil, "rubrica desk receipt v1", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of receipts: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing receipts: %w", err)
	}
	return cipher.NewGCM(block)
}

func (d *DeskDoor) sealReceipt(c echo.Context, r RegistrationReceipt) (string, error) {
	aead, err := d.receiptSealer(c)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("writing a receipt: %w", err)
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("sealing a receipt: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, plain, nil)), nil
}

// unsealReceipt refuses what this session has not sealed, or long ago
// (policies.NotFound).
func (d *DeskDoor) unsealReceipt(c echo.Context, sealed string) (RegistrationReceipt, error) {
	var r RegistrationReceipt
	aead, err := d.receiptSealer(c)
	if err != nil {
		return r, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < aead.NonceSize() {
		return r, policies.Refuse(policies.NotFound)
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], nil)
	if err != nil {
		return r, policies.Refuse(policies.NotFound)
	}
	if err := json.Unmarshal(plain, &r); err != nil {
		return r, fmt.Errorf("reading a receipt: %w", err)
	}
	if d.Now().Sub(r.IssuedAt) > receiptLife {
		return RegistrationReceipt{}, policies.Refuse(policies.NotFound)
	}
	return r, nil
}
