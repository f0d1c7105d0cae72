package dev

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Registrar are the files of the registrar's process in development, and what
// people need to come to its two doors.
type Registrar struct {
	TLS           // ClientCertificate is a supervisor's
	Second string // the certificate of an officer
	Trust  string // the trust list of the certificate door
	// Revoked is the address of the list of the officers' authority, empty in a
	// directory from before there was one.
	Revoked string
}

// folderPassword opens the PKCS #12 files: browsers ask for one.
const folderPassword = "rubrica"

// People who come to the registrar's doors, by the names of their files.
const (
	house      = "house"
	supervisor = "rosa"
	officer    = "marcos"
	dnie       = "ana-dnie"
	qualified  = "ana-qualified"
)

// makeRegistrar makes what is missing in registrar/, and tells where the
// revocation lists are found now.
func makeRegistrar(ctx context.Context, d *directory, web string) (Registrar, error) {
	dir := d.join("registrar")
	r := Registrar{TLS: files(dir, supervisor), Second: filepath.Join(dir, officer+".pem"), Trust: filepath.Join(dir, "trust.toml")}
	err := d.once("registrar", qualified+".p12", func(in folder) error { return in.populate(ctx) })
	if err != nil {
		return r, err
	}
	if _, err := os.Stat(d.join("registrar", house+".crl")); err == nil {
		r.Revoked = web + "/crl/" + house + ".crl"
	}
	return r, d.writeFor(0o644, filepath.Join("registrar", "trust.toml"), trustList(web))
}

// populate makes three authorities, of the house and of citizens, and those
// whom they certify.
func (f folder) populate(ctx context.Context) error {
	staff, err := newAuthority(pkix.Name{CommonName: "Rúbrica development, registrar"})
	if err != nil {
		return err
	}
	police, err := newAuthority(pkix.Name{
		Country: []string{"ES"}, Organization: []string{"DIRECCION GENERAL DE LA POLICIA (DESARROLLO)"}, OrganizationalUnit: []string{"DNIE"}, CommonName: "AC DNIE 000",
	})
	if err != nil {
		return err
	}
	trusted, err := newAuthority(pkix.Name{Country: []string{"ES"}, Organization: []string{"Prestador de Desarrollo"}, CommonName: "AC Usuarios de Desarrollo"})
	if err != nil {
		return err
	}
	if err := errors.Join(
		f.certificate("tls-ca", staff.certificate), f.certificate("dnie-ca", police.certificate), f.certificate("qualified-ca", trusted.certificate),
		f.list(house, staff), f.list("dnie", police), f.list("qualified", trusted), f.pair("server", staff, server()),
	); err != nil {
		return err
	}
	for _, p := range []struct {
		name     string
		issuer   authority
		template *x509.Certificate
	}{
		{supervisor, staff, person("Rosa Gil")},
		{officer, staff, person("Marcos Ruiz Vega")},
		{dnie, police, onCard()},
		{qualified, trusted, onDisk()},
	} {
		if err := f.pair(p.name, p.issuer, p.template); err != nil {
			return err
		}
		if err := f.pack(ctx, p.name); err != nil {
			return err
		}
	}
	return nil
}

// The policies under which the two kinds of certificates are issued: the DNIe's
// for authentication, and FNMT's for natural persons.
func policyOfCard() []int { return []int{2, 16, 724, 1, 2, 2, 2, 4} }
func policyOfDisk() []int { return []int{1, 3, 6, 1, 4, 1, 5734, 3, 10, 1} }

// onCard is Ana's, as a DNIe has it: for authentication, and of no extended use.
func onCard() *x509.Certificate {
	return citizen(policyOfCard(), "NÚÑEZ PÉREZ, ANA (AUTENTICACIÓN)", "12345678Z", "NÚÑEZ")
}

// onDisk is Ana's of a provider of trust services (ETSI EN 319 412-1, section
// 5.1.3, for the number).
func onDisk() *x509.Certificate {
	c := citizen(policyOfDisk(), "NÚÑEZ PÉREZ ANA - 12345678Z", "IDCES-12345678Z", "NÚÑEZ PÉREZ")
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return c
}

func citizen(policy []int, common, number, surname string) *x509.Certificate {
	c := certificate(pkix.Name{
		Country: []string{"ES"}, SerialNumber: number, CommonName: common,
		ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 4}, Value: surname},
			{Type: asn1.ObjectIdentifier{2, 5, 4, 42}, Value: "ANA"},
		},
	})
	arcs := make([]uint64, len(policy))
	for i, n := range policy {
		arcs[i] = uint64(n) //nolint:gosec // constants above
	}
	c.Policies = []x509.OID{oid(arcs)}
	return c
}

// oid is one of the constants above.
func oid(arcs []uint64) x509.OID {
	made, err := x509.OIDFromInts(arcs)
	if err != nil {
		panic(err)
	}
	return made
}

// list writes a revocation list on which nobody stands, for as long as the
// authority lives: its key is forgotten.
func (f folder) list(name string, a authority) error {
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: a.certificate.NotBefore, NextUpdate: a.certificate.NotAfter,
	}, a.certificate, a.key)
	if err != nil {
		return fmt.Errorf("signing a revocation list: %w", err)
	}
	return f.dir.writeFor(0o644, filepath.Join(f.name, name+".crl"), string(der))
}

// pack puts a pair into a PKCS #12 file, for a browser to take.
func (f folder) pack(ctx context.Context, name string) error {
	path := f.dir.join(f.name, name)
	said, err := exec.CommandContext(ctx, "openssl", "pkcs12", "-export", "-in", path+".pem", "-inkey", path+".key",
		"-out", path+".p12", "-passout", "pass:"+folderPassword, "-name", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("packing %s.p12 (package openssl): %w: %s", name, err, strings.TrimSpace(string(said)))
	}
	return nil
}

// trustList accepts both authorities of citizens. Their lists are served beside
// the inbox.
func trustList(web string) string {
	dotted := func(policy []int) string { return strings.Trim(strings.ReplaceAll(fmt.Sprint(policy), " ", "."), "[]") }
	return fmt.Sprintf(`# Written by `+"`rubrica up`"+` at each start; changes are lost.

[[authority]]
name = "DNI electrónico (desarrollo)"
class = "dnie"
subject = "dnie"
issuers = ["dnie-ca.pem"]
policies = [%[2]q]
crl = ["%[1]s/crl/dnie.crl"]
networks = ["127.0.0.0/8", "::1/128"]

[[authority]]
name = "Prestador de desarrollo"
class = "qualified"
subject = "etsi"
issuers = ["qualified-ca.pem"]
policies = [%[3]q]
crl = ["%[1]s/crl/qualified.crl"]
networks = ["127.0.0.0/8", "::1/128"]
`, web, dotted(policyOfCard()), dotted(policyOfDisk()))
}

// beside serves the revocation lists and the register beside the inbox.
func (u *environment) beside(inbox, register http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", inbox)
	mux.Handle("/register/", http.StripPrefix("/register", register))
	for _, name := range []string{house + ".crl", "dnie.crl", "qualified.crl"} {
		mux.HandleFunc("GET /crl/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/pkix-crl") // RFC 2585, section 4.2
			http.ServeFile(w, r, u.dir.join("registrar", name))
		})
	}
	return mux
}
