package documents

import (
	"bytes"
	"errors"
	"fmt"
	"image"
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

// picture is grey where the page is, which is a third of the work.
func picture(pixels []byte, width, height int) image.Image {
	grey := image.NewGray(image.Rect(0, 0, width, height))
	for i := range grey.Pix {
		r, g, b := pixels[3*i], pixels[3*i+1], pixels[3*i+2]
		if r != g || g != b {
			return colour(pixels, width, height)
		}
		grey.Pix[i] = r
	}
	return grey
}

func colour(pixels []byte, width, height int) image.Image {
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		copy(out.Pix[4*i:], pixels[3*i:3*i+3])
		out.Pix[4*i+3] = 0xff
	}
	return out
}
