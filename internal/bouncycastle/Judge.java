import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.Security;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Date;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bouncycastle.asn1.ASN1Enumerated;
import org.bouncycastle.asn1.ASN1IA5String;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ocsp.OCSPObjectIdentifiers;
import org.bouncycastle.asn1.x509.AuthorityKeyIdentifier;
import org.bouncycastle.asn1.x509.DistributionPointName;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.IssuingDistributionPoint;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.SubjectKeyIdentifier;
import org.bouncycastle.cert.X509CRLEntryHolder;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.CertificateStatus;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cert.ocsp.RespID;
import org.bouncycastle.cert.ocsp.RevokedStatus;
import org.bouncycastle.cert.ocsp.SingleResp;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.GenTimeAccuracy;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampResponse;
import org.bouncycastle.tsp.TimeStampToken;
import org.bouncycastle.tsp.TimeStampTokenInfo;

/**
 * Answers questions about certificates, revocation lists, OCSP responses,
 * time-stamps, CAdES signatures and signed PDFs with BouncyCastle and PDFBox, one after the
 * other, until its input ends.
 *
 * <p>Question and answer are the same shape: a count of pairs, then for each a
 * name and a value, both as length and bytes; numbers have four octets, high
 * one first. Names may repeat. An answer with the name "error" says no, one
 * with "fault" that the question was not understood.
 */
public final class Judge {
    static final String BC = "BC";

    /** Thrown where BouncyCastle leaves a check to its caller and it fails. */
    static final class Rejected extends Exception {
        private static final long serialVersionUID = 1;

        Rejected(String reason) {
            super(reason);
        }
    }

    /** A defect of who asks: never to be mistaken for a rejection. */
    private static final class NotUnderstood extends RuntimeException {
        private static final long serialVersionUID = 1;

        NotUnderstood(String reason) {
            super(reason);
        }
    }

    private final Map<String, List<byte[]>> question = new LinkedHashMap<>();
    private final List<Map.Entry<String, byte[]>> answer = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        var in = new DataInputStream(new java.io.BufferedInputStream(System.in));
        var out = new DataOutputStream(new java.io.BufferedOutputStream(System.out));
        out.writeInt(0); // ready
        out.flush();
        while (true) {
            var judge = new Judge();
            if (!judge.read(in)) {
                return;
            }
            judge.decide();
            judge.write(out);
        }
    }

    private boolean read(DataInputStream in) throws IOException {
        int count;
        try {
            count = in.readInt();
        } catch (java.io.EOFException end) {
            return false;
        }
        for (int i = 0; i < count; i++) {
            String name = new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_8);
            question.computeIfAbsent(name, n -> new ArrayList<>()).add(in.readNBytes(in.readInt()));
        }
        return true;
    }

    private void write(DataOutputStream out) throws IOException {
        out.writeInt(answer.size());
        for (var pair : answer) {
            byte[] name = pair.getKey().getBytes(StandardCharsets.UTF_8);
            out.writeInt(name.length);
            out.write(name);
            out.writeInt(pair.getValue().length);
            out.write(pair.getValue());
        }
        out.flush();
    }

    private void decide() {
        try {
            switch (text("check")) {
                case "path" -> path();
                case "crl" -> crl();
                case "ocsp" -> ocsp();
                case "timestamp" -> timeStamp();
                case "cades" -> new Cades(this, bytes("cms"), optional("content")).check();
                case "document" -> new Documents(this).check();
                case "pdfa" -> new Documents(this).pdfa();
                default -> throw new NotUnderstood("no check " + text("check"));
            }
        } catch (NotUnderstood fault) {
            say("fault", fault.getMessage());
        } catch (Exception | StackOverflowError | OutOfMemoryError no) { // what does not survive a file does not accept it
            answer.clear();
            say("error", reason(no));
        }
    }

    /** Messages down to the root cause: the outer ones often say nothing. */
    private static String reason(Throwable no) {
        var reasons = new StringBuilder();
        for (Throwable t = no; t != null; t = t.getCause()) {
            String message = String.valueOf(t.getMessage());
            if (reasons.indexOf(message) < 0) {
                reasons.append(reasons.isEmpty() ? "" : ": ");
                reasons.append(t.getClass().getSimpleName()).append(' ').append(message);
            }
        }
        return reasons.toString();
    }

    // Question and answer.

    byte[] bytes(String name) {
        byte[] value = optional(name);
        if (value == null) {
            throw new NotUnderstood("the question has no " + name);
        }
        return value;
    }

    byte[] optional(String name) {
        return question.containsKey(name) ? question.get(name).get(0) : null;
    }

    private String text(String name) {
        return new String(bytes(name), StandardCharsets.UTF_8);
    }

    Date at() {
        return new Date(Long.parseLong(text("at")));
    }

    List<byte[]> intermediates() {
        return question.getOrDefault("intermediate", List.of());
    }

    private X509CertificateHolder holder(String name) throws Exception {
        return new X509CertificateHolder(bytes(name));
    }

    private static X509Certificate certificate(byte[] der) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509", BC)
                .generateCertificate(new ByteArrayInputStream(der));
    }

    void say(String name, String value) {
        answer.add(Map.entry(name, value.getBytes(StandardCharsets.UTF_8)));
    }

    void say(String name, Date value) {
        if (value != null) {
            say(name, Long.toString(value.getTime()));
        }
    }

    private static ContentVerifierProvider verifier(X509CertificateHolder holder) throws Exception {
        return new JcaContentVerifierProviderBuilder().setProvider(BC).build(holder);
    }

    // Certification paths (RFC 5280, 6).

    private void path() throws Exception {
        boolean revocation = question.containsKey("revocation");
        validate(bytes("certificate"), intermediates(), at(), revocation);
    }

    /** Validates a path given from the leaf up, the root not among it. */
    void validate(byte[] leaf, List<byte[]> intermediates, Date at, boolean revocation) throws Exception {
        var certificates = new ArrayList<X509Certificate>();
        certificates.add(certificate(leaf));
        for (byte[] der : intermediates) {
            certificates.add(certificate(der));
        }
        Collection<X509CRL> lists = new ArrayList<>();
        var factory = CertificateFactory.getInstance("X.509", BC);
        for (byte[] der : question.getOrDefault("crl", List.of())) {
            lists.add((X509CRL) factory.generateCRL(new ByteArrayInputStream(der)));
        }
        CertPath path = factory.generateCertPath(certificates);
        var parameters = new PKIXParameters(Set.of(new TrustAnchor(certificate(bytes("root")), null)));
        parameters.setDate(at);
        parameters.setRevocationEnabled(revocation);
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(lists), BC));
        CertPathValidator.getInstance("PKIX", BC).validate(path, parameters);
    }

    // Certificate revocation lists (RFC 5280, 5).

    private void crl() throws Exception {
        var list = new X509CRLHolder(bytes("list"));
        X509CertificateHolder issuer = holder("issuer");
        if (!list.getIssuer().equals(issuer.getSubject())) {
            throw new Rejected("issued by " + list.getIssuer());
        }
        if (!list.isSignatureValid(verifier(issuer))) {
            throw new Rejected("the signature is not the issuer's");
        }
        var authority = AuthorityKeyIdentifier.fromExtensions(list.getExtensions());
        var subject = SubjectKeyIdentifier.fromExtensions(issuer.getExtensions());
        if (authority == null || subject == null
                || !Arrays.equals(authority.getKeyIdentifier(), subject.getKeyIdentifier())) {
            throw new Rejected("authorityKeyIdentifier is not the issuer's");
        }
        Extension number = list.getExtension(Extension.cRLNumber);
        if (number == null) {
            throw new Rejected("no cRLNumber");
        }
        say("number", ASN1Integer.getInstance(number.getParsedValue()).getValue().toString(16));
        say("this_update", list.getThisUpdate());
        say("next_update", list.getNextUpdate());
        Extension partition = list.getExtension(Extension.issuingDistributionPoint);
        if (partition != null) {
            describe(partition);
        }
        for (Object each : list.getRevokedCertificates()) {
            describe((X509CRLEntryHolder) each);
        }
    }

    private void describe(Extension partition) {
        var point = IssuingDistributionPoint.getInstance(partition.getParsedValue());
        say("partition_critical", Boolean.toString(partition.isCritical()));
        say("only_user", Boolean.toString(point.onlyContainsUserCerts()));
        say("only_ca", Boolean.toString(point.onlyContainsCACerts()));
        DistributionPointName name = point.getDistributionPoint();
        if (name == null || name.getType() != DistributionPointName.FULL_NAME) {
            return;
        }
        for (GeneralName each : GeneralNames.getInstance(name.getName()).getNames()) {
            if (each.getTagNo() == GeneralName.uniformResourceIdentifier) {
                say("partition", ASN1IA5String.getInstance(each.getName()).getString());
            }
        }
    }

    private void describe(X509CRLEntryHolder entry) {
        Extension reason = entry.getExtension(Extension.reasonCode);
        BigInteger code = reason == null
                ? BigInteger.ZERO : ASN1Enumerated.getInstance(reason.getParsedValue()).getValue();
        say("entry", entry.getSerialNumber().toString(16) + " " + entry.getRevocationDate().getTime() + " " + code);
    }

    // OCSP (RFC 6960).

    private void ocsp() throws Exception {
        var response = new OCSPResp(bytes("response"));
        say("response_status", Integer.toString(response.getStatus()));
        if (response.getStatus() != OCSPResp.SUCCESSFUL) {
            return;
        }
        var basic = (BasicOCSPResp) response.getResponseObject();
        X509CertificateHolder issuer = holder("issuer");
        X509CertificateHolder responder = responder(basic, issuer);
        if (!basic.isSignatureValid(verifier(responder))) {
            throw new Rejected("the signature is not the responder's");
        }
        if (basic.getProducedAt().after(at())) {
            throw new Rejected("produced in the future");
        }
        say("produced_at", basic.getProducedAt());
        Extension nonce = basic.getExtension(OCSPObjectIdentifiers.id_pkix_ocsp_nonce);
        if (nonce != null) {
            say("nonce", HexFormat.of().formatHex(ASN1OctetString.getInstance(nonce.getParsedValue()).getOctets()));
        }
        describe(single(basic, issuer));
    }

    /** The certificate whose key signed: the issuer's, or one that the issuer delegated to (4.2.2.2). */
    private X509CertificateHolder responder(BasicOCSPResp basic, X509CertificateHolder issuer) throws Exception {
        DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider(BC).build();
        RespID id = basic.getResponderId();
        var candidates = new ArrayList<X509CertificateHolder>(List.of(basic.getCerts()));
        candidates.add(issuer);
        for (X509CertificateHolder each : candidates) {
            boolean named = id.equals(new RespID(each.getSubject()))
                    || id.equals(new RespID(each.getSubjectPublicKeyInfo(), digests.get(RespID.HASH_SHA1)));
            if (!named) {
                continue;
            }
            if (!each.equals(issuer)) {
                delegated(each);
            }
            return each;
        }
        throw new Rejected("no certificate of the responder");
    }

    private void delegated(X509CertificateHolder responder) throws Exception {
        ExtendedKeyUsage usage = ExtendedKeyUsage.fromExtensions(responder.getExtensions());
        if (usage == null || !usage.hasKeyPurposeId(KeyPurposeId.id_kp_OCSPSigning)) {
            throw new Rejected("the responder's certificate is not for OCSP signing");
        }
        if (responder.getExtension(OCSPObjectIdentifiers.id_pkix_ocsp_nocheck) == null) {
            throw new Rejected("the responder's certificate has no id-pkix-ocsp-nocheck");
        }
        if (!responder.isSignatureValid(verifier(holder("issuer")))) {
            throw new Rejected("the responder's certificate is not the issuer's");
        }
        var above = new ArrayList<byte[]>();
        if (!holder("issuer").equals(holder("root"))) {
            above.add(bytes("issuer"));
        }
        above.addAll(intermediates());
        validate(responder.getEncoded(), above, at(), false);
        say("responder", HexFormat.of().formatHex(responder.getEncoded()));
    }

    private SingleResp single(BasicOCSPResp basic, X509CertificateHolder issuer) throws Exception {
        DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider(BC).build();
        var serial = new BigInteger(text("serial"), 16);
        for (SingleResp each : basic.getResponses()) {
            if (each.getCertID().getSerialNumber().equals(serial) && each.getCertID().matchesIssuer(issuer, digests)) {
                return each;
            }
        }
        throw new Rejected("no answer about this certificate");
    }

    private void describe(SingleResp single) throws Exception {
        Date now = at();
        if (single.getThisUpdate().after(now) || (single.getNextUpdate() != null && single.getNextUpdate().before(now))) {
            throw new Rejected("not current");
        }
        say("this_update", single.getThisUpdate());
        say("next_update", single.getNextUpdate());
        say("hash", single.getCertID().getHashAlgOID().getId());
        CertificateStatus status = single.getCertStatus();
        if (status == CertificateStatus.GOOD) {
            say("status", "good");
        } else if (status instanceof RevokedStatus revoked) {
            say("status", "revoked");
            say("revoked_at", revoked.getRevocationTime());
            say("reason", Integer.toString(revoked.hasRevocationReason() ? revoked.getRevocationReason() : 0));
        } else {
            say("status", "unknown");
        }
    }

    // Time-stamps (RFC 3161, RFC 5816).

    private void timeStamp() throws Exception {
        TimeStampToken token;
        if (optional("response") != null) {
            var response = new TimeStampResponse(bytes("response"));
            say("status", Integer.toString(response.getStatus()));
            if (response.getFailInfo() != null) {
                say("fail_info", Integer.toString(response.getFailInfo().intValue()));
            }
            if (response.getStatusString() != null) {
                say("status_string", response.getStatusString());
            }
            if (optional("query") != null) {
                response.validate(new TimeStampRequest(bytes("query")));
            }
            token = response.getTimeStampToken();
            if (token == null) {
                return;
            }
        } else {
            token = new TimeStampToken(new org.bouncycastle.cms.CMSSignedData(bytes("token")));
        }
        TimeStampTokenInfo info = token.getTimeStampInfo();
        if (optional("digest") != null && !Arrays.equals(info.getMessageImprintDigest(), bytes("digest"))) {
            throw new Rejected("the stamp is of another digest");
        }
        check(token);
        describe(token, info);
    }

    /** Signature, authority's certificate and path, at the time of the stamp. */
    void check(TimeStampToken token) throws Exception {
        X509CertificateHolder authority = authority(token);
        token.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(authority));
        validate(authority.getEncoded(), intermediates(), token.getTimeStampInfo().getGenTime(),
                question.containsKey("revocation"));
    }

    /** The TSA's certificate: inside, or the given one where certReq was false. */
    private X509CertificateHolder authority(TimeStampToken token) throws Exception {
        for (X509CertificateHolder each : token.getCertificates().getMatches(null)) {
            if (token.getSID().match(each)) {
                return each;
            }
        }
        if (optional("certificate") == null) {
            throw new Rejected("no certificate of the authority, neither inside nor given");
        }
        return holder("certificate");
    }

    private void describe(TimeStampToken token, TimeStampTokenInfo info) {
        say("gen_time", info.getGenTime());
        say("serial", info.getSerialNumber().toString(16));
        say("policy", info.getPolicy().getId());
        say("hash", info.getMessageImprintAlgOID().getId());
        say("ordering", Boolean.toString(info.isOrdered()));
        say("certificates", Integer.toString(token.getCertificates().getMatches(null).size()));
        if (info.getNonce() != null) {
            say("nonce", info.getNonce().toString(16));
        }
        if (info.getTsa() != null) {
            say("tsa", info.getTsa().toString());
        }
        GenTimeAccuracy accuracy = info.getGenTimeAccuracy();
        if (accuracy != null) {
            long micros = accuracy.getSeconds() * 1_000_000L + accuracy.getMillis() * 1_000L + accuracy.getMicros();
            say("accuracy", Long.toString(micros));
        }
    }
}
