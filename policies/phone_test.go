package policies

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Within the time after a change of mobile nothing is issued, renewed or
// reissued and no password is set anew, whatever else holds; and from its last
// moment on the change counts for nothing.
func TestPhoneCoolOff(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawFacts(t), drawRules(t)
		r.PhoneCoolOff = time.Duration(rapid.Int64Range(1, int64(200*time.Hour)).Draw(t, "cool-off"))
		age := time.Duration(rapid.Int64Range(0, int64(400*time.Hour)).Draw(t, "age"))
		f.PhoneChangedAt = f.Now.Add(-age)
		before := f
		before.PhoneChangedAt = time.Time{}
		for name, decide := range map[string]func(Facts, Rules) (Grant, error){"issue": IssueCertificate, "renew": Renew, "reissue": Reissue} {
			got, err := decide(f, r)
			want, wantErr := decide(before, r)
			switch {
			case age < r.PhoneCoolOff && err == nil:
				t.Errorf("%s: granted %v after the change", name, age)
			case age >= r.PhoneCoolOff && (got != want || code(err) != code(wantErr)):
				t.Errorf("%s: got %v %v, want %v %v as without a change", name, got, err, want, wantErr)
			case wantErr != nil && code(err) != code(wantErr):
				t.Errorf("%s: got %v, want what stood in the way already: %v", name, err, wantErr)
			}
		}
		anew := f.Status != StatusRegistered
		if err, want := SetPassword(f, r), anew && age < r.PhoneCoolOff; (err != nil) != want {
			t.Errorf("password of somebody %s, %v after the change: got %v, want refused %t", f.Status, age, err, want)
		}
		if err, want := Sign(f, r), Sign(before, r); code(err) != code(want) {
			t.Errorf("signing: got %v, want %v: what there is stays of use", err, want)
		}
	})
}

func code(err error) Code {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Code
	}
	return ""
}

func TestPhoneCoolOffAtItsEdges(t *testing.T) {
	t.Parallel()
	changed := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		now   time.Time
		rules func(*Rules)
		want  string // the day that is told; "-" none, "" allowed
	}{
		"at once":            {changed, func(*Rules) {}, "2026-05-08"},
		"a moment before":    {changed.Add(72*time.Hour - 1), func(*Rules) {}, "2026-05-08"},
		"at the hour":        {changed.Add(72 * time.Hour), func(*Rules) {}, ""},
		"clock gone back":    {changed.Add(-time.Hour), func(*Rules) {}, "2026-05-08"},
		"ends at midnight":   {changed, func(r *Rules) { r.PhoneCoolOff = 12 * time.Hour }, "2026-05-05"},
		"rule left out":      {changed.AddDate(3, 0, 0), func(r *Rules) { r.PhoneCoolOff = 0 }, "-"},
		"rule below nothing": {changed.AddDate(3, 0, 0), func(r *Rules) { r.PhoneCoolOff = -1 }, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := DefaultRules()
			tt.rules(&r)
			err := SetPassword(Facts{Now: tt.now, Status: StatusActive, PhoneChangedAt: changed}, r)
			got := ""
			if refusal, ok := errors.AsType[*Refusal](err); ok {
				if got = refusal.Params["until"]; got == "" {
					got = "-"
				}
			}
			if got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}
