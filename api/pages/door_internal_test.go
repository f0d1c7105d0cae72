package pages

import (
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// A wrong code says when another may be asked for, and leaves the refusal that
// came from the module as it was.
func TestWithWait(t *testing.T) {
	t.Parallel()
	wrong := policies.Refuse(policies.CodeWrong, "tries", "2")
	for name, test := range map[string]struct {
		view View
		want time.Duration
	}{
		"signature, at once":  {&Confirm{}, 0},
		"signature, later":    {&Confirm{AgainIn: 20 * time.Second}, 20 * time.Second},
		"certificate, later":  {&CertificateCode{AgainIn: time.Second}, time.Second},
		"activation, later":   {&ActivationCode{AgainIn: time.Second}, time.Second},
		"a page without code": {&Identify{}, 0},
		"no page":             {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := withWait(wrong, test.view).RetryAfter; got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if wrong.RetryAfter != 0 {
				t.Errorf("got the module's refusal changed: %v", wrong.RetryAfter)
			}
		})
	}
}
