package documents

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
)

var errPixmap = errors.New("not a pixmap")

// pixmapToPNG turns the raw pixels that pdftoppm gives into PNG. Its own PNG
// costs eight times as much processor time, most of it on compression that
// a page shown once does not earn. The pixmap is the child's word, so sizes are checked.
func pixmapToPNG(pixmap []byte) ([]byte, error) {
	var width, height, depth int
	header := bytes.NewReader(pixmap)
	if _, err := fmt.Fscanf(header, "P6\n%d %d\n%d\n", &width, &height, &depth); err != nil {
		return nil, fmt.Errorf("%w: %w", errPixmap, err)
	}
	pixels := pixmap[len(pixmap)-header.Len():]
	if depth != 255 || width <= 0 || height <= 0 || width > maxImage || height > maxImage || len(pixels) != 3*width*height {
		return nil, fmt.Errorf("%w: %d by %d in %d octets", errPixmap, width, height, len(pixels))
	}
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	var out bytes.Buffer
	if err := encoder.Encode(&out, picture(pixels, width, height)); err != nil {
		return nil, fmt.Errorf("encoding the image: %w", err)
	}
	return out.Bytes(), nil
}

// picture has a palette where 256 colours do, as in most pages of text: a third
// of the octets to compress.
func picture(pixels []byte, width, height int) image.Image {
	out := image.NewPaletted(image.Rect(0, 0, width, height), nil)
	index := make(map[[3]byte]uint8, 256)
	var last [3]byte
	var at uint8
	for i := range out.Pix {
		pixel := [3]byte(pixels[3*i:])
		if pixel != last || i == 0 {
			var known bool
			if at, known = index[pixel]; !known {
				if len(out.Palette) == 256 {
					return colour(pixels, width, height)
				}
				at = uint8(len(out.Palette)) //nolint:gosec // below 256
				index[pixel] = at
				out.Palette = append(out.Palette, color.RGBA{pixel[0], pixel[1], pixel[2], 0xff})
			}
			last = pixel
		}
		out.Pix[i] = at
	}
	return out
}

func colour(pixels []byte, width, height int) image.Image {
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		copy(out.Pix[4*i:], pixels[3*i:3*i+3])
		out.Pix[4*i+3] = 0xff
	}
	return out
}
