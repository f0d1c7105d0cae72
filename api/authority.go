package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/ca"
)

// Authority is what the world may have of the certification authority, in DER.
// What is not there yet is policies.NotFound.
type Authority interface {
	// AuthorityDER reads the certificate "root" or "issuing".
	AuthorityDER(ctx context.Context, name string) ([]byte, error)
	// RevocationList reads the newest list of a shard.
	RevocationList(ctx context.Context, shard string) (ca.PublishedList, error)
}

// certificate serves one as RFC 5280, section 4.2.2.1, wants what caIssuers
// leads to: DER, in the media type of RFC 2585, section 4.1.
func (s *Site) certificate(name string) echo.HandlerFunc {
	return func(c echo.Context) error {
		der, err := s.Authority.AuthorityDER(c.Request().Context(), name)
		if err != nil {
			return err
		}
		return download(c, "application/pkix-cert", 24*time.Hour, der)
	}
}

func (s *Site) revocationList(name string) echo.HandlerFunc {
	return func(c echo.Context) error {
		list, err := s.Authority.RevocationList(c.Request().Context(), name)
		if err != nil {
			return err
		}
		return download(c, "application/pkix-crl", 5*time.Minute, list.DER)
	}
}

// download serves public bytes that caches may keep.
func download(c echo.Context, mediaType string, fresh time.Duration, content []byte) error {
	sum := sha256.Sum256(content)
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, mediaType)
	h.Set("Cache-Control", "public, max-age="+seconds(fresh))
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(content))
	return nil
}
