package published

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/policies"
)

// Root is where the log lies.
const Root = "/log/"

// Log is the stored log, as far as it is public. What is not there is
// policies.NotFound.
type Log interface {
	audit.HashReader
	// Trees lists the names of the tree; the last one is in use.
	Trees(ctx context.Context) ([]publication.Tree, error)
	// LastCheckpoint is the largest that was signed, LastWitnessed the largest
	// that the witnesses' quorum cosigned, the same where nobody is asked.
	LastCheckpoint(ctx context.Context, origin string) (publication.Published, error)
	LastWitnessed(ctx context.Context, origin string) (publication.Published, error)
	CheckpointAt(ctx context.Context, origin string, size int64) (publication.Published, error)
	// Leaves reads those of the entries [from, to).
	Leaves(ctx context.Context, from, to int64) ([][]byte, error)
}

// Config names the parts of the room.
type Config struct {
	Log Log
	// Policy is the deployment's own witness policy, for whoever has none yet:
	// it is to be believed only by who got it otherwise.
	Policy string
}

// Room hangs the routes.
func Room(config Config) func(*api.Site) {
	return func(s *api.Site) {
		r := room{config}
		door := s.Door(Root)
		squeezed := middleware.GzipWithConfig(middleware.GzipConfig{Level: gzip.BestSpeed, MinLength: 256})
		for route, handle := range map[string]echo.HandlerFunc{
			"checkpoint": r.checkpoint, "policy": r.policy, "tile/*": r.tile, "timestamp/:file": r.timeStamp,
		} {
			s.Desk(Root + route)
			door.Match([]string{http.MethodGet, http.MethodHead}, Root+route, handle, squeezed)
		}
	}
}

type room struct{ Config }

const (
	forEver = "public, max-age=31536000, immutable"
	brief   = "public, max-age=1"
)

// checkpoint changes every few seconds: "its headers SHOULD prevent caching
// beyond a few seconds" (C2SP tlog-tiles, "Checkpoints").
func (r room) checkpoint(c echo.Context) error {
	ctx := c.Request().Context()
	origin, err := r.origin(ctx)
	if err != nil {
		return err
	}
	newest, err := r.Log.LastWitnessed(ctx, origin)
	if err != nil {
		return err
	}
	return send(c, brief, "text/plain; charset=utf-8", newest.Note)
}

// origin is the name in use.
func (r room) origin(ctx context.Context) (string, error) {
	trees, err := r.Log.Trees(ctx)
	if err != nil {
		return "", err
	}
	if len(trees) == 0 {
		return "", policies.Refuse(policies.NotFound)
	}
	return trees[len(trees)-1].Origin, nil
}

func (r room) policy(c echo.Context) error {
	if r.Policy == "" {
		return policies.Refuse(policies.NotFound)
	}
	return send(c, brief, "text/plain; charset=utf-8", []byte(r.Policy))
}

// tile serves tiles of hashes and entry bundles, which never change.
func (r room) tile(c echo.Context) error {
	ctx := c.Request().Context()
	path := "tile/" + c.Param("*")
	t, err := torchwood.ParseTilePath(path)
	if err != nil {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.NotFound), err)
	}
	if torchwood.TilePath(t) != path { // one address each, for caches and for whoever counts
		return policies.Refuse(policies.NotFound)
	}
	origin, err := r.origin(ctx)
	if err != nil {
		return err
	}
	signed, err := r.Log.LastCheckpoint(ctx, origin) // beyond it nothing is shown
	if err != nil {
		return err
	}
	var data []byte
	if t.L < 0 {
		data, err = r.bundle(ctx, signed.Size, t)
	} else {
		data, err = audit.Tile(ctx, signed.Size, t, r.Log)
	}
	if errors.Is(err, audit.ErrNoTile) {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.NotFound), err)
	}
	if err != nil {
		return err
	}
	return send(c, forEver, "application/octet-stream", data)
}

func (r room) bundle(ctx context.Context, size int64, t tlog.Tile) ([]byte, error) {
	from, to, err := audit.BundleRange(size, t)
	if err != nil {
		return nil, err
	}
	leaves, err := r.Log.Leaves(ctx, from, to)
	if err != nil {
		return nil, err
	}
	if int64(len(leaves)) != to-from {
		return nil, fmt.Errorf("the log has %d of the entries from %d to %d", len(leaves), from, to)
	}
	return audit.Bundle(leaves)
}

var stampName = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})\.tsr$`)

// timeStamp serves what RFC 3161 calls a TimeStampToken, over the note as the
// log alone signed it.
func (r room) timeStamp(c echo.Context) error {
	parts := stampName.FindStringSubmatch(c.Param("file"))
	if parts == nil {
		return policies.Refuse(policies.NotFound)
	}
	size, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %w", policies.Refuse(policies.NotFound), err)
	}
	ctx := c.Request().Context()
	origin, err := r.origin(ctx)
	if err != nil {
		return err
	}
	checkpoint, err := r.Log.CheckpointAt(ctx, origin, size)
	if err != nil {
		return err
	}
	if checkpoint.Timestamp == nil {
		return policies.Refuse(policies.NotFound)
	}
	return send(c, brief, "application/octet-stream", checkpoint.Timestamp)
}

// send answers who has it already with 304 (RFC 9110, section 13.1.2).
func send(c echo.Context, cache, mediaType string, data []byte) error {
	sum := sha256.Sum256(data)
	tag := fmt.Sprintf(`"%x"`, sum[:16])
	h := c.Response().Header()
	h.Set("Cache-Control", cache)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Access-Control-Allow-Origin", "*") // all of it is public, and pages elsewhere may verify it
	h.Set("Etag", tag)
	if strings.Contains(c.Request().Header.Get("If-None-Match"), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, mediaType, data)
}
