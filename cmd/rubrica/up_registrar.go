package main

import (
	"github.com/rubrica-firma/rubrica/internal/dev"
	"github.com/rubrica-firma/rubrica/internal/dev/sede"
)

// registrarSettings are of the environment's registrar, which signs for its one
// office.
func registrarSettings(e dev.Environment) map[string]any {
	serve := map[string]any{
		"database": e.Databases.Registrar, "signer-socket": e.SignerSocket,
		"public-url": e.RegistrarURL, "listen": e.RegistrarListen, "certificate-url": e.CertificateURL, "certificate-listen": e.CertificateListen,
		"tls-certificate": e.Registrar.Certificate, "tls-key": e.Registrar.Key, "client-ca": e.Registrar.CA,
		"trust": e.Registrar.Trust, "office": []string{e.OfficeCredentials}, "service-url": e.PublicURL, "letters": true,
	}
	if e.Registrar.Revoked == "" {
		serve["client-revocation"] = "off"
	} else {
		serve["client-crl"], serve["client-networks"] = []string{e.Registrar.Revoked}, []string{"127.0.0.0/8", "::1/128"}
	}
	return map[string]any{"serve": serve}
}

// letterSettings print as the registrar's office does.
func letterSettings(e dev.Environment) map[string]any {
	return map[string]any{"print": map[string]any{
		"database": e.Databases.Registrar, "signer-socket": e.SignerSocket, "office": []string{e.OfficeCredentials}, "service-url": e.PublicURL,
	}}
}

func officerSettings(e dev.Environment) map[string]any {
	register := map[string]any{"database": e.Databases.Signer}
	return map[string]any{
		"add": register, "disable": register, "list": register,
		"invite": map[string]any{"database": e.Databases.Signer, "public-url": e.RegistrarURL},
	}
}

// citizenSettings put Rosa Gil at the desk of the command line.
func citizenSettings(e dev.Environment) map[string]any {
	commands := map[string]any{}
	for _, name := range []string{"register", "activation-code", "block", "unblock", "revoke", "suspend", "release", "deregister", "report-death"} {
		commands[name] = map[string]any{"office": e.OfficeCredentials, "officer": "Rosa Gil"}
	}
	commands["sandbox"] = map[string]any{"office": e.OfficeCredentials, "sede": e.SedeCredentials, "return-url": sede.ReturnURL(e.SedeURL)}
	return commands
}
