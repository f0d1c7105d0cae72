package csc

import (
	"crypto"
	"slices"

	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Names of algorithms in this interface are OIDs (RFC 8017, appendix A; RFC
// 5758, section 3.2; RFC 5480, section 2.1.1).
const (
	rsaEncryption = "1.2.840.113549.1.1.1"
	rsaPSS        = "1.2.840.113549.1.1.10"
	ecPublicKey   = "1.2.840.10045.2.1"
	ecdsaWithSHA2 = "1.2.840.10045.4.3"
)

// algorithm is one that may be asked for.
type algorithm struct {
	oid    string
	rsa    bool
	scheme cms.Scheme // of RSA; other keys have one way only
	hash   string     // OID; empty where it is to be said beside
}

func algorithms() []algorithm {
	return []algorithm{
		{oid: rsaEncryption, rsa: true, scheme: cms.PKCS1v15},
		{oid: "1.2.840.113549.1.1.11", rsa: true, scheme: cms.PKCS1v15, hash: signer.SHA256},
		{oid: "1.2.840.113549.1.1.12", rsa: true, scheme: cms.PKCS1v15, hash: signer.SHA384},
		{oid: "1.2.840.113549.1.1.13", rsa: true, scheme: cms.PKCS1v15, hash: signer.SHA512},
		{oid: rsaPSS, rsa: true, scheme: cms.PSS},
		{oid: ecPublicKey},
		{oid: ecdsaWithSHA2},
		{oid: "1.2.840.10045.4.3.2", hash: signer.SHA256},
		{oid: "1.2.840.10045.4.3.3", hash: signer.SHA384},
		{oid: "1.2.840.10045.4.3.4", hash: signer.SHA512},
	}
}

func algorithmOf(oid string) (algorithm, bool) {
	all := algorithms()
	i := slices.IndexFunc(all, func(a algorithm) bool { return a.oid == oid })
	if i < 0 {
		return algorithm{}, false
	}
	return all[i], true
}

// namesFor are what key.algo lists: the key's own name first.
func namesFor(rsa bool) []string {
	var names []string
	for _, a := range algorithms() {
		if a.rsa == rsa && a.oid != ecdsaWithSHA2 {
			names = append(names, a.oid)
		}
	}
	return names
}

func hashNames() []string { return []string{signer.SHA256, signer.SHA384, signer.SHA512} }

// digestOf is the hash that an OID names.
func digestOf(oid string) (crypto.Hash, bool) {
	switch oid {
	case signer.SHA256:
		return crypto.SHA256, true
	case signer.SHA384:
		return crypto.SHA384, true
	case signer.SHA512:
		return crypto.SHA512, true
	}
	return 0, false
}

// manner is how a key is to be used, as a call says it.
type manner struct {
	algorithm
	hash string // OID
}

// words are how a dialect and method name the parameters of a manner.
type words struct {
	hash string // hashAlgo or hashAlgorithmOID
	// contradiction is said where signAlgo and the hash's name disagree.
	contradiction string
}

func (v version) words() words {
	if v == 1 {
		return words{hash: "hashAlgo", contradiction: "Invalid parameter hashAlgo"}
	}
	return words{hash: "hashAlgorithmOID", contradiction: "Invalid parameter hashAlgorithmOID"}
}

// manner reads signAlgo, signAlgoParams and the hash's name (CSC API v2.0.0.2,
// 11.10). The hash has to be named where signAlgo does not.
func (o object) manner(w words) (manner, error) {
	var m manner
	name, err := o.must("signAlgo")
	if err != nil {
		return m, err
	}
	hash, named := o.text(w.hash)
	if o.has(w.hash) && !named {
		return m, missing("string", w.hash)
	}
	var known bool
	m.algorithm, known = algorithmOf(name)
	params, err := o.params(m.algorithm)
	if err != nil {
		return m, err
	}
	if named {
		if _, usable := digestOf(hash); !usable {
			return m, invalidParameter(w.hash)
		}
	}
	switch {
	case !known:
		return m, invalidParameter("signAlgo")
	case params != "" && named && hash != params:
		return m, invalid(w.contradiction)
	case m.algorithm.hash != "" && named && hash != m.algorithm.hash:
		return m, invalid(w.contradiction)
	case m.algorithm.hash != "":
		m.hash = m.algorithm.hash
	case named:
		m.hash = hash
	case params != "":
		m.hash = params
	default:
		return m, missing("string", w.hash)
	}
	return m, nil
}

// params reads RSASSA-PSS-params, DER in base64, and returns the hash that they
// name. A salt of another length than the hash is not made here (TS 119 312, 8.2).
func (o object) params(a algorithm) (string, error) {
	if !o.has("signAlgoParams") {
		if a.scheme == cms.PSS {
			return "", missing("string", "signAlgoParams")
		}
		return "", nil
	}
	text, ok := o.text("signAlgoParams")
	if !ok {
		return "", missing("string", "signAlgoParams")
	}
	if a.scheme != cms.PSS {
		return "", nil
	}
	der, ok := unbase64(text)
	if !ok {
		return "", invalidParameter("signAlgoParams")
	}
	hash, salt, err := cms.ReadPSS(der)
	if err != nil || salt != hash.Size() {
		return "", invalidParameter("signAlgoParams")
	}
	for _, oid := range hashNames() {
		if named, _ := digestOf(oid); named == hash {
			return oid, nil
		}
	}
	return "", invalidParameter("signAlgoParams")
}
