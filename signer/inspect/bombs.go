package inspect

import (
	"errors"
	"io"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

const (
	// maxStream is how far one stream may inflate.
	maxStream = 100 << 20
	// maxRatio is how much larger a stream may become.
	maxRatio = 100
	// smallStream is how far a stream may inflate at any ratio: blank images and
	// padded metadata do.
	smallStream = 4 << 20
	// maxVolume bounds what all streams together are inflated to.
	maxVolume = 256 << 20
)

// measure finds streams that grow beyond all proportion. Images are read by
// what their size says, so that is what counts; attachments are not read at all.
func (i *inspector) measure(s *pdf.Stream, at step) {
	_, length := s.Extent()
	if i.name(s.Dict["Type"]) == "EmbeddedFile" && at.parent != "Contents" {
		return
	}
	if i.name(s.Dict["Subtype"]) == "Image" {
		if i.imageSize(s.Dict) > maxStream {
			i.found(policies.FindingInflation, at.where, "kind", "image")
		}
		return
	}
	filters, err := i.file.Filters(s)
	i.fail(err)
	if len(filters) == 0 || err != nil {
		return
	}
	if i.volume > maxVolume {
		i.found(policies.FindingIncomplete, at.where)
		return
	}
	limit := min(maxStream, max(smallStream, length*maxRatio))
	n, err := i.inflate(s, limit)
	i.volume += n
	switch {
	case errors.Is(err, policies.Refuse(policies.DocumentTooComplex)):
		i.found(policies.FindingInflation, at.where)
	case fatal(err):
		i.fail(err)
	}
}

// inflate counts what a stream inflates to. Data that break off are no matter:
// what comes before counts.
func (i *inspector) inflate(s *pdf.Stream, limit int64) (int64, error) {
	r, err := i.file.Decoded(s, limit)
	if err != nil {
		return 0, err //nolint:wrapcheck // told apart by the caller
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, limit+1))
	if n > limit {
		return n, policies.Refuse(policies.DocumentTooComplex)
	}
	return n, err //nolint:wrapcheck // likewise
}

// imageSize is how many octets an image has by its dictionary.
func (i *inspector) imageSize(d pdf.Dict) float64 {
	bits := max(1, float(i.get(d["BitsPerComponent"])))
	return max(0, float(i.get(d["Width"]))) * max(0, float(i.get(d["Height"]))) * bits * 4 / 8
}
