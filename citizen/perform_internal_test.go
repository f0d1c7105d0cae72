package citizen

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// diary is a registrar that writes down what it is asked for.
type diary struct{ lines []string }

func (d *diary) note(words ...string) { d.lines = append(d.lines, words...) }

func (d *diary) Register(_ context.Context, a Application) (Receipt, error) {
	d.note("register", a.Identifier.String(), a.Office, a.Officer)
	return Receipt{CitizenID: "C1"}, nil
}

func (d *diary) RenewActivation(_ context.Context, id Identifier, by By) (Receipt, error) {
	d.note("renew", id.String(), by.String())
	return Receipt{CitizenID: "C1"}, nil
}

func (d *diary) Block(_ context.Context, id Identifier, o Order) error {
	d.note("block", id.String(), o.By.String(), o.Reason)
	return nil
}

func (d *diary) Unblock(_ context.Context, id Identifier, o Order) error {
	d.note("unblock", id.String(), o.By.String(), o.Reason)
	return nil
}

func (d *diary) Revoke(_ context.Context, id Identifier, o Order, reason int) error {
	d.note("revoke", id.String(), o.By.String(), o.Reason, string(rune('0'+reason)))
	return nil
}

func (d *diary) Deregister(_ context.Context, id Identifier, o Order) error {
	d.note("deregister", id.String(), o.By.String(), o.Reason)
	return nil
}

func (d *diary) Suspend(_ context.Context, id Identifier, o Order) error {
	d.note("suspend", id.String(), o.By.String(), o.Reason)
	return nil
}

func (d *diary) Release(_ context.Context, id Identifier, o Order) error {
	d.note("release", id.String(), o.By.String(), o.Reason)
	return nil
}

func (d *diary) ReportDeath(_ context.Context, id Identifier, o Order) error {
	d.note("death", id.String(), o.By.String(), o.Reason, o.Evidence["document"])
	return nil
}

func (d *diary) CorrectDeath(_ context.Context, id Identifier, o Order) error {
	d.note("alive", id.String(), o.By.String(), o.Reason)
	return nil
}

func (d *diary) RenewRegistration(_ context.Context, id Identifier, r Renewal) (Receipt, error) {
	d.note("prove", id.String(), string(r.Mode), r.Office, r.Officer)
	return Receipt{CitizenID: "C1"}, nil
}

func (d *diary) ChangePhone(_ context.Context, id Identifier, c PhoneChange) error {
	d.note("phone", id.String(), c.Phone.String(), c.Order.By.String(), c.Order.Reason)
	return nil
}

func (d *diary) ChangeEmail(_ context.Context, id Identifier, c EmailChange) error {
	d.note("email", id.String(), c.Email.String(), c.Order.By.String(), c.Order.Reason)
	return nil
}

func TestCarryOut(t *testing.T) {
	t.Parallel()
	id, err := ParseIdentifier("12345678Z")
	if err != nil {
		t.Fatal(err)
	}
	phone, phoneErr := ParsePhone("600111421")
	email, emailErr := ParseEmail("ana@example.es")
	if err := errors.Join(phoneErr, emailErr); err != nil {
		t.Fatal(err)
	}
	const by = "office: Rosa Gil (act J1)"
	for kind, tt := range map[ActKind]struct {
		want    []string
		receipt string
	}{
		ActRegister:        {[]string{"register", "12345678Z", "Oficina", by}, "C1"},
		ActRenewActivation: {[]string{"renew", "12345678Z", by}, "C1"},
		ActBlock:           {[]string{"block", "12345678Z", by, "Porque sí."}, ""},
		ActUnblock:         {[]string{"unblock", "12345678Z", by, "Porque sí."}, ""},
		ActRevoke:          {[]string{"revoke", "12345678Z", by, "Porque sí.", "5"}, ""},
		ActSuspend:         {[]string{"suspend", "12345678Z", by, "Porque sí."}, ""},
		ActRelease:         {[]string{"release", "12345678Z", by, "Porque sí."}, ""},
		ActDeregister:      {[]string{"deregister", "12345678Z", by, "Porque sí."}, ""},
		ActReportDeath:     {[]string{"death", "12345678Z", by, "Porque sí.", "Certificado 77"}, ""},
		ActCorrectDeath:    {[]string{"alive", "12345678Z", by, "Porque sí."}, ""},

		ActRenewRegistration: {[]string{"prove", "12345678Z", "video", "Oficina", by}, "C1"},
		ActChangePhone:       {[]string{"phone", "12345678Z", "+34600111421", by, "Porque sí."}, ""},
		ActChangeEmail:       {[]string{"email", "12345678Z", "ana@example.es", by, "Porque sí."}, ""},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := Statement{
				ID: "J1", Office: "office", OfficeName: "Oficina", Kind: kind, Officer: "Rosa Gil", Identifier: id,
				Application: Application{Identifier: id}, Reason: "Porque sí.", CRLReason: 5,
				Renewal: Renewal{Mode: "video"}, Phone: phone, Email: email,
				Evidence: map[string]string{"document": "Certificado 77"},
			}
			var d diary
			receipt, err := s.carryOut(t.Context(), &d)
			if err != nil || receipt.CitizenID != tt.receipt {
				t.Errorf("got %+v %v, want %q", receipt, err, tt.receipt)
			}
			if diff := cmp.Diff(tt.want, d.lines); diff != "" {
				t.Errorf("carried out (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := (Statement{Kind: "sign"}).carryOut(t.Context(), &diary{}); err == nil {
		t.Error("got an unknown act carried out, want it refused")
	}
}
