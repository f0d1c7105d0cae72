package ca

import (
	"encoding/asn1"
	"testing"
)

func TestProfileRefuses(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	for name, change := range map[string]func(*Profile){
		"no policy":          func(p *Profile) { p.Policies = []asn1.ObjectIdentifier{{}} },
		"impossible policy":  func(p *Profile) { p.Policies = []asn1.ObjectIdentifier{{3, 1, 1}} },
		"no disclosure":      func(p *Profile) { p.QcStatements.Disclosures = nil },
		"none in English":    func(p *Profile) { p.QcStatements.Disclosures = p.QcStatements.Disclosures[1:] },
		"over http":          func(p *Profile) { p.QcStatements.Disclosures[0].URL = "http://pki.example.org/pds_en.pdf" },
		"nowhere":            func(p *Profile) { p.QcStatements.Disclosures[0].URL = "" },
		"not escaped":        func(p *Profile) { p.QcStatements.Disclosures[0].URL = "https://pki.example.org/declaración.pdf" },
		"language of 3":      func(p *Profile) { p.QcStatements.Disclosures[1].Language = "spa" },
		"language, capitals": func(p *Profile) { p.QcStatements.Disclosures[1].Language = "ES" },
		"English twice":      func(p *Profile) { p.QcStatements.Disclosures[1].Language = "en" },
	} {
		c := h.authority.Config
		c.Profile.QcStatements = qualified()
		if _, err := New(c); err != nil {
			t.Fatal(err)
		}
		change(&c.Profile)
		if _, err := New(c); err == nil {
			t.Errorf("%s: got an authority, want an error", name)
		}
	}
}
