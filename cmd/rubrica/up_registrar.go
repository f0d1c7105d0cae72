package main

import "github.com/rubrica-firma/rubrica/internal/dev"

// registrarSettings are of the environment's registrar, which signs for its one
// office.
func registrarSettings(e dev.Environment) map[string]any {
	return map[string]any{"serve": map[string]any{
		"database": e.Databases.Registrar, "signer-socket": e.SignerSocket,
		"public-url": e.RegistrarURL, "listen": e.RegistrarListen, "certificate-url": e.CertificateURL, "certificate-listen": e.CertificateListen,
		"tls-certificate": e.Registrar.Certificate, "tls-key": e.Registrar.Key, "client-ca": e.Registrar.CA,
		"trust": e.Registrar.Trust, "office": []string{e.OfficeCredentials}, "service-url": e.PublicURL, "letters": true,
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
	return commands
}
