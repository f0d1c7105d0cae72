import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import javax.activation.DataSource;
import org.apache.pdfbox.cos.COSArray;
import org.apache.pdfbox.cos.COSBase;
import org.apache.pdfbox.cos.COSDictionary;
import org.apache.pdfbox.cos.COSName;
import org.apache.pdfbox.cos.COSObject;
import org.apache.pdfbox.cos.COSStream;
import org.apache.pdfbox.cos.COSString;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.PDSignature;
import org.apache.pdfbox.preflight.PreflightDocument;
import org.apache.pdfbox.preflight.ValidationResult.ValidationError;
import org.apache.pdfbox.preflight.parser.PreflightParser;
import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1InputStream;
import org.bouncycastle.asn1.ASN1Primitive;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cert.ocsp.RespID;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.TimeStampToken;

/** Signed PDF documents (ISO 32000-2, 12.8; EN 319 142-1): PDFBox reads them, BouncyCastle judges what it finds. */
final class Documents {
    private static final COSName DSS = COSName.getPDFName("DSS");
    /** What a reader is not shown, or what leads back to where one came from. */
    private static final Set<String> UNSEEN =
            Set.of("Parent", "P", "DSS", "Perms", "Extensions", "Metadata", "Fields", "SigFlags");

    private final Judge judge;
    private final byte[] file;
    private final List<byte[]> certificates = new ArrayList<>();

    Documents(Judge judge) {
        this.judge = judge;
        file = judge.bytes("document");
    }

    void check() throws Exception {
        try (PDDocument document = PDDocument.load(file)) {
            List<PDSignature> signatures = document.getSignatureDictionaries();
            if (signatures.isEmpty()) {
                throw new Judge.Rejected("no signature");
            }
            for (PDSignature each : signatures) {
                check(each);
            }
            store(document, signatures);
        }
    }

    /** PDF/A-1 (ISO 19005-1), by PDFBox's Preflight. */
    void pdfa() throws Exception {
        var parser = new PreflightParser(new Source(file));
        parser.parse();
        try (PreflightDocument document = parser.getPreflightDocument()) {
            document.validate();
            for (ValidationError each : document.getResult().getErrorsList()) {
                judge.say("violation", each.getErrorCode() + " " + each.getDetails());
            }
        }
    }

    private void check(PDSignature signature) throws Exception {
        int[] range = signature.getByteRange();
        if (range.length != 4 || range[0] != 0 || range[1] <= 0 || range[2] <= range[1] || range[3] <= 0
                || (long) range[2] + range[3] > file.length) {
            throw new Judge.Rejected("ByteRange " + Arrays.toString(range));
        }
        byte[] contents = signature.getContents();
        if (file[range[1]] != '<' || file[range[2] - 1] != '>' || !Arrays.equals(contents, signature.getContents(file))) {
            throw new Judge.Rejected("what ByteRange leaves out is not Contents");
        }
        int end = range[2] + range[3];
        String type = signature.getCOSObject().getNameAsString(COSName.TYPE);
        judge.say("signature", type + " " + signature.getSubFilter());
        judge.say("end", Integer.toString(end));
        byte[] content = signature.getSignedContent(file);
        byte[] der = message(contents);
        switch (signature.getSubFilter()) {
            case "ETSI.CAdES.detached" -> new Cades(judge, der, content).check();
            case "ETSI.RFC3161" -> timeStamp(new TimeStampToken(new CMSSignedData(der)), content);
            default -> throw new Judge.Rejected("SubFilter " + signature.getSubFilter());
        }
        if (end < file.length) {
            compare(Seen.in(Arrays.copyOf(file, end)), Seen.in(file));
        }
    }

    private void timeStamp(TimeStampToken token, byte[] content) throws Exception {
        String hash = token.getTimeStampInfo().getMessageImprintAlgOID().getId();
        byte[] imprint = MessageDigest.getInstance(hash, Judge.BC).digest(content);
        if (!Arrays.equals(imprint, token.getTimeStampInfo().getMessageImprintDigest())) {
            throw new Judge.Rejected("a time-stamp of something else");
        }
        judge.check(token);
        judge.say("document_time", token.getTimeStampInfo().getGenTime());
    }

    /** Contents, in DER, without the zeros that fill it. */
    private static byte[] message(byte[] contents) throws Exception {
        var in = new ByteArrayInputStream(contents);
        ASN1Primitive read = new ASN1InputStream(in).readObject();
        byte[] der = Arrays.copyOf(contents, contents.length - in.available());
        if (read == null || !Arrays.equals(read.getEncoded(ASN1Encoding.DER), der)) {
            throw new Judge.Rejected("Contents is not in DER");
        }
        return der;
    }

    // The document security store (EN 319 142-1, 5.4.2).

    private void store(PDDocument document, List<PDSignature> signatures) throws Exception {
        COSDictionary store = document.getDocumentCatalog().getCOSObject().getCOSDictionary(DSS);
        if (store == null) {
            return;
        }
        certificates.add(judge.bytes("root"));
        List<byte[]> found = streams(store, "Certs");
        certificates.addAll(found);
        for (byte[] each : found) {
            signed("certificate", new X509CertificateHolder(each)::isSignatureValid);
        }
        List<byte[]> lists = streams(store, "CRLs");
        for (byte[] each : lists) {
            signed("revocation list", new X509CRLHolder(each)::isSignatureValid);
        }
        List<byte[]> answers = streams(store, "OCSPs");
        for (byte[] each : answers) {
            answer((BasicOCSPResp) new OCSPResp(each).getResponseObject());
        }
        var keys = new ArrayList<String>();
        for (PDSignature each : signatures) {
            byte[] sum = MessageDigest.getInstance("SHA-1").digest(each.getContents());
            keys.add(HexFormat.of().withUpperCase().formatHex(sum));
        }
        COSDictionary related = store.getCOSDictionary(COSName.getPDFName("VRI"));
        int vri = 0;
        for (COSName each : related == null ? Set.<COSName>of() : related.keySet()) {
            if (!keys.contains(each.getName())) {
                throw new Judge.Rejected("VRI of no signature: " + each.getName());
            }
            vri++;
        }
        judge.say("store", found.size() + " " + lists.size() + " " + answers.size() + " " + vri);
    }

    private interface Signed {
        boolean by(org.bouncycastle.operator.ContentVerifierProvider verifier) throws Exception;
    }

    /** Demands that one of the certificates at hand has signed something. */
    private void signed(String what, Signed signed) throws Exception {
        for (byte[] each : certificates) {
            try {
                if (signed.by(new JcaContentVerifierProviderBuilder().setProvider(Judge.BC).build(new X509CertificateHolder(each)))) {
                    return;
                }
            } catch (org.bouncycastle.cert.CertException anotherKind) {
                continue;
            }
        }
        throw new Judge.Rejected("nobody here has signed a " + what);
    }

    private void answer(BasicOCSPResp answer) throws Exception {
        var digests = new JcaDigestCalculatorProviderBuilder().setProvider(Judge.BC).build();
        for (X509CertificateHolder each : answer.getCerts()) {
            boolean named = answer.getResponderId().equals(new RespID(each.getSubject()))
                    || answer.getResponderId().equals(new RespID(each.getSubjectPublicKeyInfo(), digests.get(RespID.HASH_SHA1)));
            if (named && answer.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider(Judge.BC).build(each))) {
                signed("responder's certificate", each::isSignatureValid);
                return;
            }
        }
        throw new Judge.Rejected("an OCSP response that no responder has signed");
    }

    private static List<byte[]> streams(COSDictionary store, String name) throws IOException {
        var out = new ArrayList<byte[]>();
        COSArray array = store.getCOSArray(COSName.getPDFName(name));
        for (int i = 0; array != null && i < array.size(); i++) {
            try (InputStream in = ((COSStream) array.getObject(i)).createInputStream()) {
                out.add(in.readAllBytes());
            }
        }
        return out;
    }

    // What a reader is shown.

    /** Digests of all that the catalogue leads to, pages and how they are shown, and of what each signature says. */
    private record Seen(String document, Set<String> signatures) {
        static Seen in(byte[] file) throws Exception {
            try (PDDocument document = PDDocument.load(file)) {
                Set<String> signatures = new HashSet<>();
                for (PDSignature each : document.getSignatureDictionaries()) {
                    signatures.add(digest(each.getCOSObject()));
                }
                return new Seen(digest(document.getDocumentCatalog().getCOSObject()), signatures);
            }
        }

        private static String digest(COSBase base) throws Exception {
            MessageDigest out = MessageDigest.getInstance("SHA-256");
            seen(base, out, Collections.newSetFromMap(new IdentityHashMap<>()));
            return HexFormat.of().formatHex(out.digest());
        }
    }

    private static void compare(Seen signed, Seen now) throws Judge.Rejected {
        if (!now.document.equals(signed.document)) {
            throw new Judge.Rejected("a reader is shown something else than what was signed");
        }
        if (!now.signatures.containsAll(signed.signatures)) {
            throw new Judge.Rejected("a signature says something else than it did");
        }
    }

    private static void seen(COSBase base, MessageDigest out, Set<COSBase> known) throws IOException {
        COSBase value = base instanceof COSObject object ? object.getObject() : base;
        if (value instanceof COSDictionary || value instanceof COSArray) {
            if (!known.add(value)) {
                out.update((byte) '^');
                return;
            }
        }
        if (value instanceof COSArray array) {
            out.update((byte) '[');
            for (COSBase each : array) {
                if (!hidden(each)) {
                    seen(each, out, known);
                }
            }
            out.update((byte) ']');
        } else if (value instanceof COSDictionary dictionary) {
            seen(dictionary, out, known);
        } else if (value instanceof COSString string) {
            out.update((byte) '(');
            out.update(string.getBytes());
            out.update((byte) ')');
        } else {
            out.update((value + " ").getBytes(StandardCharsets.UTF_8));
        }
    }

    private static void seen(COSDictionary dictionary, MessageDigest out, Set<COSBase> known) throws IOException {
        var entries = new TreeMap<String, COSBase>();
        dictionary.entrySet().forEach(each -> entries.put(each.getKey().getName(), each.getValue()));
        entries.keySet().removeAll(UNSEEN);
        COSArray annotations = dictionary.getCOSArray(COSName.ANNOTS);
        if (annotations != null && annotations.toList().stream().allMatch(Documents::hidden)) {
            entries.remove("Annots");
        }
        for (var each : entries.entrySet()) {
            out.update(("/" + each.getKey() + " ").getBytes(StandardCharsets.UTF_8));
            seen(each.getValue(), out, known);
        }
        out.update((byte) '>');
        if (dictionary instanceof COSStream stream) {
            try (var in = new DigestInputStream(stream.createRawInputStream(), out)) {
                in.transferTo(OutputStream.nullOutputStream());
            }
        }
    }

    /** Whether something is the widget of a signature that has no extent: later time-stamps bring one. */
    private static boolean hidden(COSBase base) {
        COSBase value = base instanceof COSObject object ? object.getObject() : base;
        if (!(value instanceof COSDictionary widget) || !COSName.SIG.equals(widget.getCOSName(COSName.FT))) {
            return false;
        }
        COSArray box = widget.getCOSArray(COSName.RECT);
        return box != null && box.size() == 4 && Arrays.equals(box.toFloatArray(), new float[4]);
    }

    /** A file in memory. */
    private record Source(byte[] octets) implements DataSource {
        @Override
        public InputStream getInputStream() {
            return new ByteArrayInputStream(octets);
        }

        @Override
        public OutputStream getOutputStream() throws IOException {
            throw new IOException("read only");
        }

        @Override
        public String getContentType() {
            return "application/pdf";
        }

        @Override
        public String getName() {
            return "document";
        }
    }
}
