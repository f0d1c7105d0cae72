package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// defaultTrust is where rubrica up leaves the root.
const defaultTrust = "var/ca/root.pem"

// readTrust reads trust anchors: those of the files, or the root of this
// deployment if none are given.
func readTrust(paths []string) ([]*x509.Certificate, error) {
	if len(paths) == 0 {
		if _, err := os.Stat(defaultTrust); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no trust anchor: name one with --trust, there is no %s here", defaultTrust)
		}
		paths = []string{defaultTrust}
	}
	found, err := readEvidence(paths)
	if err != nil {
		return nil, err
	}
	if len(found.Certificates) == 0 || len(found.CRLs)+len(found.OCSPs) > 0 {
		return nil, errors.New("--trust is for certificates, and nothing else")
	}
	return found.Certificates, nil
}

// readEvidence reads files of certificates, lists and answers.
func readEvidence(paths []string) (cades.Evidence, error) {
	var all cades.Evidence
	for _, path := range paths {
		octets, err := os.ReadFile(path)
		if err != nil {
			return all, fmt.Errorf("reading evidence: %w", err)
		}
		block, rest := pem.Decode(octets)
		if block == nil {
			all = addEvidence(all, octets)
		}
		for ; block != nil; block, rest = pem.Decode(rest) {
			all = addEvidence(all, block.Bytes)
		}
	}
	return all, nil
}

// addEvidence takes for an OCSP answer what is neither certificate nor list.
func addEvidence(e cades.Evidence, der []byte) cades.Evidence {
	if c, err := x509.ParseCertificate(der); err == nil {
		e.Certificates = append(e.Certificates, c)
	} else if _, err := x509.ParseRevocationList(der); err == nil {
		e.CRLs = append(e.CRLs, der)
	} else {
		e.OCSPs = append(e.OCSPs, der)
	}
	return e
}

func openSized(path string) (*os.File, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// isPDF looks for the header where viewers do (ISO 32000-2, annex C.2).
func isPDF(r io.ReaderAt) (bool, error) {
	head := make([]byte, 1024)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading the document: %w", err)
	}
	return verify.LooksLikePDF(head[:n]), nil
}
