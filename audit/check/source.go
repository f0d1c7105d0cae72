package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"filippo.io/torchwood"
)

// Source is a log as it is served below /log/: a tree of files. A file that is
// not there has no octets: none of a log's files is empty.
type Source interface {
	ReadEndpoint(ctx context.Context, path string) ([]byte, error)
}

// The limits of one file: a bundle of 256 entries of two octets of length each.
const maxFile = torchwood.TileWidth * (2 + 1<<16)

// requests is how many files are asked for at once.
const requests = 32

// Open is the log at a location, an http(s) address or a directory.
func Open(location string) (Source, error) {
	if !Remote(location) {
		return directory{os.DirFS(location)}, nil
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("no ordinary transport for HTTP")
	}
	transport = transport.Clone()
	transport.MaxIdleConnsPerHost = requests
	r := remote{failed: new(atomic.Pointer[error])}
	var err error
	r.TileFetcher, err = torchwood.NewTileFetcher(location,
		torchwood.WithHTTPClient(&http.Client{Transport: absent{transport, r.failed}, Timeout: 30 * time.Second}),
		torchwood.WithUserAgent("rubrica audit"))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", location, err)
	}
	return r, nil
}

// patience is how long one file may take, with another try after one second, six,
// and half a minute.
const patience = 40 * time.Second

// remote is a log that is served.
type remote struct {
	*torchwood.TileFetcher

	failed *atomic.Pointer[error] // the latest request that did
}

// ReadEndpoint implements Source.
func (r remote) ReadEndpoint(ctx context.Context, path string) ([]byte, error) {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b, err := r.TileFetcher.ReadEndpoint(patient, path)
	if last := r.failed.Load(); err != nil && patient.Err() != nil && last != nil {
		return nil, fmt.Errorf("%w: %w", err, *last)
	}
	return b, err
}

// Remote is whether a location is an address.
func Remote(location string) bool {
	return strings.HasPrefix(location, "https://") || strings.HasPrefix(location, "http://")
}

// absent makes of what is not there a file with no octets, and lets no file be
// longer than one of a log can be.
type absent struct {
	next   http.RoundTripper
	failed *atomic.Pointer[error]
}

// RoundTrip implements http.RoundTripper.
func (a absent) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(request)
	if err != nil {
		a.failed.Store(&err)
		return nil, err
	}
	if response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone {
		if err := response.Body.Close(); err != nil {
			return nil, err
		}
		response.StatusCode, response.ContentLength, response.Body = http.StatusOK, 0, http.NoBody
	}
	response.Body = limited{io.LimitReader(response.Body, maxFile), response.Body}
	return response, nil
}

// limited reads no more of a body than its Reader does.
type limited struct {
	io.Reader
	io.Closer
}

// directory is a mirror.
type directory struct{ files fs.FS }

// ReadEndpoint implements Source.
func (d directory) ReadEndpoint(_ context.Context, path string) ([]byte, error) {
	b, err := fs.ReadFile(d.files, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
