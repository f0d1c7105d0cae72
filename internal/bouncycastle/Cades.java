import java.io.ByteArrayOutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ASN1Primitive;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.ASN1Set;
import org.bouncycastle.asn1.ASN1TaggedObject;
import org.bouncycastle.asn1.ASN1UTF8String;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.CMSAttributes;
import org.bouncycastle.asn1.cms.Time;
import org.bouncycastle.asn1.esf.CommitmentTypeIndication;
import org.bouncycastle.asn1.esf.SigPolicyQualifierInfo;
import org.bouncycastle.asn1.esf.SignaturePolicyId;
import org.bouncycastle.asn1.esf.SignerLocation;
import org.bouncycastle.asn1.ess.ContentHints;
import org.bouncycastle.asn1.ess.ESSCertIDv2;
import org.bouncycastle.asn1.ess.SigningCertificateV2;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.DirectoryString;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.tsp.TimeStampToken;

/** CAdES signatures (ETSI EN 319 122-1), of which BouncyCastle knows the attributes but not the levels. */
final class Cades {
    private static final ASN1ObjectIdentifier MIME_TYPE = new ASN1ObjectIdentifier("0.4.0.1733.2.1");
    private static final ASN1ObjectIdentifier ARCHIVE = new ASN1ObjectIdentifier("0.4.0.1733.2.4");
    private static final ASN1ObjectIdentifier HASH_INDEX = new ASN1ObjectIdentifier("0.4.0.19122.1.5");

    private final Judge judge;
    private final byte[] content;
    private final CMSSignedData cms;
    /** SignedData, and its sets, as they stand. */
    private final ASN1Sequence data;
    private final List<byte[]> certificates;
    private final List<byte[]> revocations;

    /** A message, and its content unless that stands inside. */
    Cades(Judge judge, byte[] der, byte[] detached) throws Exception {
        this.judge = judge;
        // BouncyCastle judges certificates by what it would write, not by what it has read.
        if (!Arrays.equals(ASN1Primitive.fromByteArray(der).getEncoded(ASN1Encoding.DER), der)) {
            throw new Judge.Rejected("not in DER");
        }
        cms = detached == null ? new CMSSignedData(der) : new CMSSignedData(new CMSProcessableByteArray(detached), der);
        content = detached == null ? (byte[]) cms.getSignedContent().getContent() : detached;
        var info = ASN1Sequence.getInstance(der);
        data = ASN1Sequence.getInstance(ASN1TaggedObject.getInstance(info.getObjectAt(1)), true);
        certificates = members(0);
        revocations = members(1);
    }

    void check() throws Exception {
        if (cms.getSignerInfos().size() == 0) {
            throw new Judge.Rejected("no signer");
        }
        for (SignerInformation signer : cms.getSignerInfos().getSigners()) {
            check(signer);
        }
    }

    private void check(SignerInformation signer) throws Exception {
        X509CertificateHolder certificate = null;
        for (X509CertificateHolder each : cms.getCertificates().getMatches(null)) {
            if (signer.getSID().match(each)) {
                certificate = each;
            }
        }
        if (certificate == null) {
            throw new Judge.Rejected("no certificate of the signer");
        }
        if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(Judge.BC).build(certificate))) {
            throw new Judge.Rejected("the signature value is wrong");
        }
        judge.validate(certificate.getEncoded(), judge.intermediates(), judge.at(), false);
        judge.say("signer", certificate.getSerialNumber().toString(16));
        judge.say("digest", signer.getDigestAlgOID());
        judge.say("algorithm", signer.getEncryptionAlgOID());
        signed(signer.getSignedAttributes(), certificate);
        unsigned(signer);
    }

    // Signed attributes (5.2).

    private void signed(AttributeTable attributes, X509CertificateHolder certificate) throws Exception {
        ESSCertIDv2 id = SigningCertificateV2.getInstance(value(attributes, PKCSObjectIdentifiers.id_aa_signingCertificateV2))
                .getCerts()[0];
        if (!Arrays.equals(id.getCertHash(), hash(id.getHashAlgorithm().getAlgorithm(), certificate.getEncoded()))) {
            throw new Judge.Rejected("signing-certificate-v2 is of another certificate");
        }
        ASN1Encodable value = value(attributes, CMSAttributes.signingTime);
        if (value != null) {
            judge.say("signing_time", Time.getInstance(value).getDate());
        }
        value = value(attributes, MIME_TYPE);
        if (value != null) {
            judge.say("mime_type", ASN1UTF8String.getInstance(value).getString());
        }
        value = value(attributes, PKCSObjectIdentifiers.id_aa_contentHint);
        if (value != null) {
            var hints = ContentHints.getInstance(value);
            judge.say("hints", hints.getContentDescriptionUTF8() + " " + hints.getContentType());
        }
        value = value(attributes, PKCSObjectIdentifiers.id_aa_ets_commitmentType);
        if (value != null) {
            judge.say("commitment", CommitmentTypeIndication.getInstance(value).getCommitmentTypeId().getId());
        }
        value = value(attributes, PKCSObjectIdentifiers.id_aa_ets_signerLocation);
        if (value != null) {
            location(SignerLocation.getInstance(value));
        }
        value = value(attributes, PKCSObjectIdentifiers.id_aa_ets_sigPolicyId);
        if (value != null) {
            policy(SignaturePolicyId.getInstance(value));
        }
    }

    private void location(SignerLocation location) {
        var lines = new ArrayList<String>();
        for (DirectoryString each : new DirectoryString[] {location.getCountry(), location.getLocality()}) {
            if (each != null) {
                lines.add(each.getString());
            }
        }
        if (location.getPostal() != null) {
            for (DirectoryString each : location.getPostal()) {
                lines.add(each.getString());
            }
        }
        judge.say("location", String.join("|", lines));
    }

    private void policy(SignaturePolicyId policy) {
        var hash = policy.getSigPolicyHash();
        String text = policy.getSigPolicyId() + " " + hash.getHashAlgorithm().getAlgorithm() + " "
                + HexFormat.of().formatHex(hash.getHashValue().getOctets());
        if (policy.getSigPolicyQualifiers() != null) {
            SigPolicyQualifierInfo qualifier = policy.getSigPolicyQualifiers().getInfoAt(0);
            text += " " + qualifier.getSigPolicyQualifierId() + " " + qualifier.getSigQualifier();
        }
        judge.say("policy", text);
    }

    // Unsigned attributes (5.3, 5.5).

    private void unsigned(SignerInformation signer) throws Exception {
        ASN1Sequence raw = raw(signer);
        ASN1Encodable last = raw.getObjectAt(raw.size() - 1);
        if (!(last instanceof ASN1TaggedObject tagged) || tagged.getTagNo() != 1) {
            return;
        }
        for (ASN1Encodable each : ASN1Set.getInstance(tagged, false)) {
            var attribute = ASN1Sequence.getInstance(each);
            ASN1Encodable type = attribute.getObjectAt(0);
            boolean signature = PKCSObjectIdentifiers.id_aa_signatureTimeStampToken.equals(type);
            if (!signature && !ARCHIVE.equals(type)) {
                continue;
            }
            var values = ASN1Set.getInstance(attribute.getObjectAt(1));
            if (values.size() != 1) {
                throw new Judge.Rejected(values.size() + " values of " + type);
            }
            var token = new TimeStampToken(new CMSSignedData(octets(values.getObjectAt(0))));
            if (signature) {
                fits(token, hash(token.getTimeStampInfo().getMessageImprintAlgOID(), signer.getSignature()));
                judge.say("signature_time", token.getTimeStampInfo().getGenTime());
            } else {
                archive(token, raw, ASN1Set.getInstance(tagged, false));
            }
            judge.check(token);
        }
    }

    private void archive(TimeStampToken token, ASN1Sequence signer, ASN1Set unsigned) throws Exception {
        ASN1ObjectIdentifier algorithm = token.getTimeStampInfo().getMessageImprintAlgOID();
        if (token.getUnsignedAttributes() == null || token.getUnsignedAttributes().getAll(HASH_INDEX).size() != 1) {
            throw new Judge.Rejected("not one ats-hash-index-v3");
        }
        ASN1Encodable value = value(token.getUnsignedAttributes(), HASH_INDEX);
        var index = ASN1Sequence.getInstance(value);
        if (index.size() != 4 || !ASN1Sequence.getInstance(index.getObjectAt(0)).getObjectAt(0).equals(algorithm)) {
            throw new Judge.Rejected("ats-hash-index-v3 by another algorithm than the imprint");
        }
        var attributes = new ArrayList<byte[]>();
        for (ASN1Encodable each : unsigned) {
            var attribute = ASN1Sequence.getInstance(each);
            for (ASN1Encodable one : ASN1Set.getInstance(attribute.getObjectAt(1))) {
                attributes.add(join(List.of(octets(attribute.getObjectAt(0)), octets(one))));
            }
        }
        int c = named(index.getObjectAt(1), algorithm, certificates);
        int r = named(index.getObjectAt(2), algorithm, revocations);
        int a = named(index.getObjectAt(3), algorithm, attributes);

        var parts = new ArrayList<byte[]>();
        parts.add(octets(ASN1Sequence.getInstance(data.getObjectAt(2)).getObjectAt(0)));
        parts.add(hash(algorithm, content));
        for (ASN1Encodable each : signer) {
            if (!(each instanceof ASN1TaggedObject tagged && tagged.getTagNo() == 1)) {
                parts.add(octets(each));
            }
        }
        parts.add(octets(value));
        fits(token, hash(algorithm, join(parts)));
        judge.say("archive", token.getTimeStampInfo().getGenTime().getTime() + " " + c + " " + r + " " + a);
    }

    /** How many an index names, all of which have to be there. */
    private static int named(ASN1Encodable list, ASN1ObjectIdentifier algorithm, List<byte[]> present) throws Exception {
        Set<String> hashes = new HashSet<>();
        for (byte[] each : present) {
            hashes.add(HexFormat.of().formatHex(hash(algorithm, each)));
        }
        var named = ASN1Sequence.getInstance(list);
        for (ASN1Encodable each : named) {
            if (!hashes.contains(HexFormat.of().formatHex(ASN1OctetString.getInstance(each).getOctets()))) {
                throw new Judge.Rejected("ats-hash-index-v3 names what is not there");
            }
        }
        return named.size();
    }

    private static void fits(TimeStampToken token, byte[] imprint) throws Judge.Rejected {
        if (!Arrays.equals(token.getTimeStampInfo().getMessageImprintDigest(), imprint)) {
            throw new Judge.Rejected("a time-stamp of something else");
        }
    }

    /** The SignerInfo as it stands. */
    private ASN1Sequence raw(SignerInformation signer) throws Judge.Rejected {
        for (ASN1Encodable each : ASN1Set.getInstance(data.getObjectAt(data.size() - 1))) {
            for (ASN1Encodable field : ASN1Sequence.getInstance(each)) {
                if (field instanceof ASN1OctetString value && Arrays.equals(value.getOctets(), signer.getSignature())) {
                    return ASN1Sequence.getInstance(each);
                }
            }
        }
        throw new Judge.Rejected("SignerInfo not found");
    }

    private List<byte[]> members(int tag) throws Exception {
        var members = new ArrayList<byte[]>();
        for (ASN1Encodable each : data) {
            if (each instanceof ASN1TaggedObject tagged && tagged.getTagNo() == tag) {
                for (ASN1Encodable member : ASN1Set.getInstance(tagged, false)) {
                    members.add(octets(member));
                }
            }
        }
        return members;
    }

    private static ASN1Encodable value(AttributeTable attributes, ASN1ObjectIdentifier type) throws Judge.Rejected {
        Attribute attribute = attributes.get(type);
        if (attribute == null) {
            return null;
        }
        if (attribute.getAttrValues().size() != 1 || attributes.getAll(type).size() != 1) {
            throw new Judge.Rejected("several values of " + type);
        }
        return attribute.getAttrValues().getObjectAt(0);
    }

    private static byte[] octets(ASN1Encodable element) throws Exception {
        return element.toASN1Primitive().getEncoded();
    }

    private static byte[] hash(ASN1ObjectIdentifier algorithm, byte[] data) throws Exception {
        return MessageDigest.getInstance(algorithm.getId(), Judge.BC).digest(data);
    }

    private static byte[] join(List<byte[]> parts) {
        var out = new ByteArrayOutputStream();
        parts.forEach(out::writeBytes);
        return out.toByteArray();
    }
}
