package documents

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

var errPixmap = errors.New("not a pixmap")

// pixmapToPNG turns the raw pixels that pdftoppm gives into PNG. Its own PNG and
// that of image/png cost several times the drawing itself, for choosing filters
// and for compression that a page shown once does not earn. The pixmap is the
// child's word, so its sizes are checked.
func pixmapToPNG(pixmap []byte) ([]byte, error) {
	var width, height, depth uint32
	header := bytes.NewReader(pixmap)
	if _, err := fmt.Fscanf(header, "P6\n%d %d\n%d\n", &width, &height, &depth); err != nil {
		return nil, fmt.Errorf("%w: %w", errPixmap, err)
	}
	pixels := pixmap[len(pixmap)-header.Len():]
	if depth != 255 || width == 0 || height == 0 || width > maxImage || height > maxImage ||
		uint64(len(pixels)) != 3*uint64(width)*uint64(height) {
		return nil, fmt.Errorf("%w: %d by %d in %d octets", errPixmap, width, height, len(pixels))
	}
	data, err := scanLines(pixels, int(3*width))
	if err != nil {
		return nil, err
	}
	var size []byte
	size = binary.BigEndian.AppendUint32(size, width)
	size = binary.BigEndian.AppendUint32(size, height)
	out := []byte("\x89PNG\r\n\x1a\n")
	out = appendChunk(out, "IHDR", append(size, 8, 2, 0, 0, 0)) // eight bits, true colour
	out = appendChunk(out, "IDAT", data)
	return appendChunk(out, "IEND", nil), nil
}

// scanLines compresses rows, each behind filter type 0: none (ISO/IEC 15948, 9.2).
func scanLines(pixels []byte, row int) ([]byte, error) {
	var out bytes.Buffer
	w, err := zlib.NewWriterLevel(&out, zlib.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("compressing an image: %w", err)
	}
	for ; len(pixels) > 0; pixels = pixels[row:] {
		_, errFilter := w.Write([]byte{0})
		_, errRow := w.Write(pixels[:row])
		if err := errors.Join(errFilter, errRow); err != nil {
			return nil, fmt.Errorf("compressing an image: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compressing an image: %w", err)
	}
	return out.Bytes(), nil
}

// appendChunk writes length, type, data and CRC (ISO/IEC 15948, 5.3).
func appendChunk(out []byte, kind string, data []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(data))) //nolint:gosec // at most maxImage and a little
	start := len(out)
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[start:]))
}
