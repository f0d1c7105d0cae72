package pages

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Branding is how a deployment presents itself.
type Branding struct {
	// LogoText is the short name beside the mark: "Rúbrica".
	LogoText string
	// Organisation runs the service: "Ayuntamiento de Gijón".
	Organisation string
	// Accent is the one colour of links and buttons, as #rrggbb. It must stand
	// out from white by 4.5 to 1 (WCAG 2.2, success criterion 1.4.3). Empty
	// means the colour of the house. The dark pages' shade is derived from it.
	Accent string
	// Links stand in the footer of every page: accessibility, privacy, help.
	Links []Link
}

// Link is an address and what it is called.
type Link struct {
	Text string
	URL  string
}

const (
	defaultAccent = "#0b5567"
	white         = "#ffffff"
	darkSurface   = "#26231f" // --surface of the dark pages in app.css
	textContrast  = 4.5
	darkContrast  = 6.5
)

// brand is a checked Branding.
type brand struct {
	Branding
	darkAccent string
}

func (b Branding) check() (brand, error) {
	if b.Accent == "" {
		b.Accent = defaultAccent
	}
	if b.LogoText == "" {
		b.LogoText = "Rúbrica"
	}
	if b.Organisation == b.LogoText {
		b.Organisation = "" // one name is said once
	}
	accent, err := parseColour(b.Accent)
	if err != nil {
		return brand{}, fmt.Errorf("accent: %w", err)
	}
	if got := accent.contrast(mustColour(white)); got < textContrast {
		return brand{}, fmt.Errorf("accent %s: contrast with white is %.1f, and must be %.1f at least", b.Accent, got, textContrast)
	}
	dark := accent
	for share := 0.0; dark.contrast(mustColour(darkSurface)) < darkContrast && share < 1; share += 0.02 {
		dark = accent.towardsWhite(share)
	}
	return brand{Branding: b, darkAccent: dark.String()}, nil
}

// stylesheet holds the tokens that depend on the deployment. A file of its own
// lets pages do without inline styles.
func (b brand) stylesheet() string {
	return fmt.Sprintf(":root{--accent:%s}\n@media screen and (prefers-color-scheme:dark){:root{--accent:%s}}\n", b.Accent, b.darkAccent)
}

// colour is an sRGB colour with channels from 0 to 1.
type colour struct{ red, green, blue float64 }

func parseColour(hex string) (colour, error) {
	digits, ok := strings.CutPrefix(hex, "#")
	n, err := strconv.ParseUint(digits, 16, 32)
	if !ok || err != nil || len(digits) != 6 {
		return colour{}, fmt.Errorf("%q is not a colour of the form #rrggbb", hex)
	}
	channel := func(shift uint) float64 { return float64(n>>shift&0xff) / 0xff }
	return colour{channel(16), channel(8), channel(0)}, nil
}

// mustColour reads the constants of this file.
func mustColour(hex string) colour {
	c, err := parseColour(hex)
	if err != nil {
		panic(err)
	}
	return c
}

func (c colour) String() string {
	channel := func(v float64) int { return int(math.Round(v * 0xff)) }
	return fmt.Sprintf("#%02x%02x%02x", channel(c.red), channel(c.green), channel(c.blue))
}

func (c colour) towardsWhite(share float64) colour {
	mix := func(v float64) float64 { return v + (1-v)*share }
	return colour{mix(c.red), mix(c.green), mix(c.blue)}
}

// luminance and contrast follow WCAG 2.2, "relative luminance" and "contrast
// ratio".
func (c colour) luminance() float64 {
	linear := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.red) + 0.7152*linear(c.green) + 0.0722*linear(c.blue)
}

func (c colour) contrast(other colour) float64 {
	lighter, darker := c.luminance(), other.luminance()
	if lighter < darker {
		lighter, darker = darker, lighter
	}
	return (lighter + 0.05) / (darker + 0.05)
}
