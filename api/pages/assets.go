package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// AssetsPrefix is where [Pages.Assets] must be mounted.
const AssetsPrefix = "/assets/"

// brandSheet is the stylesheet made from the branding.
const brandSheet = "brand.css"

// assets are the embedded files under addresses that hold their hash: an
// address never changes its content, so browsers may keep it for ever.
type assets struct {
	addresses map[string]string // by file name
	files     map[string]asset  // by address
}

type asset struct {
	content []byte
	kind    string
}

func loadAssets(stylesheet string) (assets, error) {
	a := assets{addresses: make(map[string]string), files: make(map[string]asset)}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return assets{}, err
	}
	for _, entry := range entries {
		content, err := assetFiles.ReadFile(path.Join("assets", entry.Name()))
		if err != nil {
			return assets{}, err
		}
		a.add(entry.Name(), content)
	}
	a.add(brandSheet, []byte(stylesheet))
	return a, nil
}

func (a assets) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	extension := path.Ext(name)
	address := AssetsPrefix + strings.TrimSuffix(name, extension) + "." + hex.EncodeToString(sum[:6]) + extension
	a.addresses[name] = address
	a.files[address] = asset{content: content, kind: kindOf(extension)}
}

// kindOf does not ask the system's tables, which differ between machines.
func kindOf(extension string) string {
	switch extension {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return mime.TypeByExtension(extension)
	}
}

func (a assets) address(name string) (string, error) {
	address, ok := a.addresses[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return address, nil
}

// Logo is the address of the mark that stands at the head of pages.
func (p *Pages) Logo() string { return p.assets.addresses["mark.svg"] }

// Assets serves what pages refer to, under [AssetsPrefix].
func (p *Pages) Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, ok := p.assets.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		header := w.Header()
		secure(header)
		header.Set("Content-Type", file.kind)
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.content))
	})
}
