package documents

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"testing"

	"pgregory.net/rapid"
)

// TestPixmap: the PNG has the pixmap's pixels, and any reader finds them.
func TestPixmap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(1, 40).Draw(t, "width"), rapid.IntRange(1, 40).Draw(t, "height")
		depth := rapid.SampledFrom([]byte{1, 4, 255}).Draw(t, "levels")
		pixels := rapid.SliceOfN(rapid.ByteRange(0, depth), 3*width*height, 3*width*height).Draw(t, "pixels")
		out, err := pixmapToPNG(fmt.Appendf(nil, "P6\n%d %d\n255\n%s", width, height, pixels))
		if err != nil {
			t.Fatal(err)
		}
		got, err := png.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		for i := range width * height {
			want := color.RGBA{pixels[3*i], pixels[3*i+1], pixels[3*i+2], 0xff}
			if pixel := color.RGBAModel.Convert(got.At(i%width, i/width)); pixel != want {
				t.Fatalf("pixel %d: got %v, want %v", i, pixel, want)
			}
		}
	})
}

func TestPixmapRefuses(t *testing.T) {
	t.Parallel()
	for _, pixmap := range []string{
		"", "P6\n", "P5\n1 1\n255\nx", "P6\n1 1\n65535\nxxx", "P6\n1 1\n255\nxx", "P6\n1 1\n255\nxxxx",
		"P6\n-1 -1\n255\nxxx", "P6\n0 0\n255\n", "P6\n4294967296 4294967296\n255\n",
	} {
		if _, err := pixmapToPNG([]byte(pixmap)); !errors.Is(err, errPixmap) {
			t.Errorf("%q: got %v, want %v", pixmap, err, errPixmap)
		}
	}
}
