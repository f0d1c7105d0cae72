package csc

import (
	"context"
	"crypto/x509"
	"slices"
)

// service is what info answers: the whole of version 1, with what version 2 adds
// left out where it is empty.
type service struct {
	Specs       string   `json:"specs"`
	Name        string   `json:"name"`
	Logo        string   `json:"logo"`
	Region      string   `json:"region"`
	Lang        string   `json:"lang"`
	Description string   `json:"description"`
	AuthType    []string `json:"authType"`
	OAuth2      string   `json:"oauth2"`
	Issuer      string   `json:"oauth2Issuer,omitempty"`
	Methods     []string `json:"methods"`

	AsynchronousOperationMode *bool             `json:"asynchronousOperationMode,omitempty"`
	ValidationInfo            *bool             `json:"validationInfo,omitempty"`
	SignAlgorithms            *signAlgorithms   `json:"signAlgorithms,omitempty"`
	SignatureFormats          *signatureFormats `json:"signature_formats,omitempty"`
	ConformanceLevels         []string          `json:"conformance_levels,omitempty"`
	SupportedHashTypes        []string          `json:"supportedHashTypes,omitempty"`
	DocumentTypes             []string          `json:"documentTypes,omitempty"`
}

type signAlgorithms struct {
	Algos      []string `json:"algos"`
	AlgoParams []string `json:"algoParams,omitempty"`
}

type signatureFormats struct {
	Formats            []string   `json:"formats"`
	EnvelopeProperties [][]string `json:"envelope_properties"`
	AllowMix           bool       `json:"allowMix"`
}

func (d *Door) info(_ context.Context, c call) (answer, error) {
	lang, err := d.lang(c)
	if err != nil {
		return answer{}, err
	}
	out := service{
		Specs: "1.0.4.0", Name: d.Name, Logo: d.site.URL(d.Logo), Region: d.Region, Lang: lang, Description: d.Description,
		AuthType: []string{"basic", "oauth2code", "oauth2client"}, OAuth2: d.site.URL(prefix + "v1"), Methods: d.methods(c.version),
	}
	if d.Explicit != nil {
		out.Description += " [SCAL1: explicit mode]"
	}
	if c.version == 1 {
		return ok(out)
	}
	yes := true
	out.Specs, out.OAuth2, out.Issuer = "2.0.0.2", d.site.URL(prefix+"v2"), d.site.URL("")
	out.AsynchronousOperationMode, out.ValidationInfo = &yes, &yes
	out.SignAlgorithms = &signAlgorithms{Algos: append(namesFor(true), namesFor(false)...)}
	out.SignatureFormats = &signatureFormats{
		Formats:            []string{"C", "P"},
		EnvelopeProperties: [][]string{{"Attached", "Detached"}, {"Certification", "Revision"}},
		AllowMix:           true,
	}
	out.ConformanceLevels = []string{"Ades-B-B", "Ades-B-T", "Ades-B-LT", "Ades-B-LTA"}
	out.SupportedHashTypes = []string{"dtbsr", "sodr"}
	out.DocumentTypes = []string{"application/pdf", "application/octet-stream"}
	return ok(out)
}

// lang is the language of an answer: one that is asked for and known, or else
// the usual one.
func (d *Door) lang(c call) (string, error) {
	asked, err := c.body.may("lang")
	if err != nil {
		return "", err
	}
	if slices.Contains(d.Languages, asked) {
		return asked, nil
	}
	if len(d.Languages) == 0 {
		return "es", nil
	}
	return d.Languages[0], nil
}

// methods are the names of what a version offers, those left out that can answer
// nothing but a refusal here.
func (d *Door) methods(v version) []string {
	var names []string
	for _, p := range endpoints() {
		if slices.Contains(p.versions, v) && (p.need == needNothing || p.need == needExplicit && d.Explicit != nil) {
			names = append(names, p.path)
		}
	}
	names = append(names, "oauth2/authorize", "oauth2/token", "oauth2/revoke")
	if v > 1 {
		names = append(names, "oauth2/pushed_authorize")
	}
	return names
}

const qualifierAES = "eu_eidas_aes"

// Qualifier is one of signatureQualifier's values by what a certificate says of
// itself (CSC API v2.0.0.2, 11.5).
func Qualifier(c *x509.Certificate) string {
	said := statements(c)
	has := func(oid string) bool { return slices.Contains(said, oid) }
	switch {
	case has(qcCompliance) && has(qcSSCD):
		return "eu_eidas_qes"
	case has(qcCompliance):
		return "eu_eidas_aesqc"
	}
	return qualifierAES
}

// scal is that of every credential: password and code never pass a back end.
const scal = "2"
