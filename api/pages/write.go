package pages

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Write puts every view in every state into a directory, in the languages given
// or in all, as files that need no service: LANGUAGE/NAME.STATE.html, and the
// components as index.html, for those who build pages.
func (p *Pages) Write(dir string, now time.Time, languages ...string) error {
	for address, file := range p.assets.files {
		if err := writeFile(dir, address, file.content); err != nil {
			return err
		}
	}
	samples := p.Samples(now)
	samples = append(samples, Sample{Name: (&Components{}).template(), View: p.components(now, samples)})
	for locale, pages := range p.sets {
		if len(languages) > 0 && !slices.Contains(languages, locale) {
			continue
		}
		for _, sample := range samples {
			if pages[sample.View.template()] == nil {
				continue // what only staff reads, in a language that they do not
			}
			var w draft
			if err := p.Render(&w, http.StatusOK, locale, sample.View); err != nil {
				return err
			}
			if err := writeFile(dir, path.Join(locale, sample.file()), standAlone(w.Bytes())); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeFile(dir, name string, content []byte) error {
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return fmt.Errorf("making room for a page: %w", err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return fmt.Errorf("writing a page: %w", err)
	}
	return nil
}

func (s Sample) file() string {
	if s.State == "" {
		return "index.html"
	}
	return s.Name + "." + s.State + ".html"
}

// draft is a page on its way into a file.
type draft struct {
	bytes.Buffer
	header http.Header
}

// Header implements http.ResponseWriter.
func (d *draft) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}

// WriteHeader implements http.ResponseWriter.
func (*draft) WriteHeader(int) {}

// standAlone turns addresses of the service into those of files beside.
func standAlone(page []byte) []byte {
	page = bytes.ReplaceAll(page, []byte(`"`+AssetsPrefix), []byte(`"..`+AssetsPrefix))
	sample := regexp.MustCompile(`"` + ComponentsPath + `([a-z-]*)(?:\?([^"#]*))?"`)
	page = sample.ReplaceAllFunc(page, func(address []byte) []byte {
		parts := sample.FindSubmatch(address)
		s, locale := Sample{Name: string(parts[1])}, ""
		for pair := range strings.SplitSeq(strings.ReplaceAll(string(parts[2]), "&amp;", "&"), "&") {
			switch name, value, _ := strings.Cut(pair, "="); name {
			case "estado":
				s.State = value
			case languageParameter:
				locale = "../" + value + "/"
			}
		}
		if s.Name == "" && locale == "" {
			locale = "../es/" // those who build pages have them in two languages
		}
		return []byte(`"` + locale + s.file() + `"`)
	})
	return regexp.MustCompile(`(href|action)="/[^"]*"`).ReplaceAll(page, []byte(`$1="#main"`))
}
