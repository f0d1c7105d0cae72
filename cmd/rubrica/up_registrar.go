package main

import "github.com/rubrica-firma/rubrica/internal/dev"

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
