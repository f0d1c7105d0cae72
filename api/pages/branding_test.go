package pages

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestContrast(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		one, other string
		want       float64
	}{
		{"#000000", "#ffffff", 21},
		{"#ffffff", "#ffffff", 1},
		{"#777777", "#ffffff", 4.48}, // the textbook's colour that just fails
	} {
		got := mustColour(test.one).contrast(mustColour(test.other))
		if math.Abs(got-test.want) > 0.005 {
			t.Errorf("contrast of %s and %s: got %.3f, want %.2f", test.one, test.other, got, test.want)
		}
	}
}

func TestBrandingIsCheckedAtStart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ accent, want string }{
		{"", ""},
		{"#7a1f3d", ""},
		{"#ffcc00", "contrast with white"},
		{"#777777", "contrast with white"},
		{"red", "not a colour"},
		{"#12345", "not a colour"},
		{"#12345g", "not a colour"},
		{"#000;}body{display:none}", "not a colour"},
	} {
		_, err := Branding{Accent: test.accent}.check()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("accent %q: got error %v, want %q", test.accent, err, test.want)
		}
	}
}

// TestDarkAccentCanBeRead holds for every accent that is accepted.
func TestDarkAccentCanBeRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		channel := rapid.Float64Range(0, 1)
		accent := colour{channel.Draw(t, "red"), channel.Draw(t, "green"), channel.Draw(t, "blue")}
		b, err := Branding{Accent: accent.String()}.check()
		if err != nil {
			return
		}
		if got := mustColour(b.darkAccent).contrast(mustColour(darkSurface)); got < textContrast {
			t.Fatalf("dark shade %s of %s: got contrast %.2f, want %.1f at least", b.darkAccent, b.Accent, got, textContrast)
		}
	})
}

// TestTokensCanBeRead checks the colours of app.css as they are used together,
// light and dark.
func TestTokensCanBeRead(t *testing.T) {
	t.Parallel()
	css, err := assetFiles.ReadFile("assets/app.css")
	if err != nil {
		t.Fatalf("reading the style sheet: %v", err)
	}
	light, dark, ok := strings.Cut(string(css), "prefers-color-scheme: dark")
	if !ok {
		t.Fatal("style sheet: got no dark tokens")
	}
	dark, _, _ = strings.Cut(dark, "@media")
	for name, sheet := range map[string]string{"light": light, "dark": dark} {
		tokens := make(map[string]colour)
		for _, token := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(sheet, -1) {
			tokens[token[1]] = mustColour(token[2])
		}
		for _, pair := range []struct {
			front, back string
			want        float64
		}{
			{"ink", "paper", 7},
			{"ink", "surface", 7},
			{"ink", "wash", 7},
			{"ink-soft", "paper", textContrast},
			{"ink-soft", "surface", textContrast},
			{"ink-soft", "wash", textContrast},
			{"error", "paper", textContrast},
			{"error", "error-wash", textContrast},
			{"good", "good-wash", textContrast},
			{"warn", "warn-wash", textContrast},
			{"on-accent", "error", textContrast},
			{"line-strong", "surface", 3},
			{"line-strong", "paper", 3},
		} {
			if got := tokens[pair.front].contrast(tokens[pair.back]); got < pair.want {
				t.Errorf("%s, %s on %s: got %.2f, want %.1f at least", name, pair.front, pair.back, got, pair.want)
			}
		}
		if name == "dark" && tokens["surface"] != mustColour(darkSurface) {
			t.Errorf("dark surface: got %s, want %s, which the accent is derived against", tokens["surface"], darkSurface)
		}
	}
}
