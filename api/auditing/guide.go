package auditing

import _ "embed"

var (
	//go:embed guide.es.txt
	guideSpanish string
	//go:embed guide.en.txt
	guideEnglish string
)

// Guide is one page that says how to verify what was exported, with our program
// and with others'. In a language that there is not, it is Spanish.
func Guide(locale string) string {
	if locale == "en" {
		return guideEnglish
	}
	return guideSpanish
}
