// Answers questions about CAdES signatures with pkijs, a line each, until its
// input ends. A question is JSON with the signature (cms), the content unless it
// stands inside, and a root, all in base64; so is the answer, which says what
// was found, or why not (error).
import readline from "node:readline";
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";

const SIGNATURE_TIME_STAMP = "1.2.840.113549.1.9.16.2.14";
const ARCHIVE_TIME_STAMP = "0.4.0.1733.2.4";
const HASH_INDEX = "0.4.0.19122.1.5";
const HASHES = {
  "2.16.840.1.101.3.4.2.1": "SHA-256",
  "2.16.840.1.101.3.4.2.2": "SHA-384",
  "2.16.840.1.101.3.4.2.3": "SHA-512",
};

class Rejected extends Error {}

/** The elements inside one of DER, each as it stands. */
function elements(der) {
  const [start, end] = body(der, 0);
  const found = [];
  for (let at = start; at < end;) {
    const [, stop] = body(der, at);
    found.push(der.subarray(at, stop));
    at = stop;
  }
  return found;
}

function body(der, at) {
  let length = der[at + 1];
  let start = at + 2;
  if (length >= 0x80) {
    const octets = length & 0x7f;
    length = 0;
    for (let i = 0; i < octets; i++) {
      length = length * 256 + der[start++];
    }
  }
  return [start, start + length];
}

function value(der) {
  return der.subarray(...body(der, 0));
}

function oid(der) {
  return asn1js.fromBER(exact(der)).result.valueBlock.toString();
}

/** An ArrayBuffer of these octets alone. */
function exact(octets) {
  return octets.buffer.slice(octets.byteOffset, octets.byteOffset + octets.byteLength);
}

async function digest(name, octets) {
  return Buffer.from(await crypto.subtle.digest(name, octets));
}

function read(der) {
  const info = pkijs.ContentInfo.fromBER(exact(der));
  return new pkijs.SignedData({ schema: info.content });
}

/** Checks a signature and the path of its certificate. */
async function verify(data, signer, content, roots, others) {
  const result = await data.verify({ signer, data: exact(content), trustedCerts: roots, checkChain: false, extendedMode: true });
  if (!result.signatureVerified || !result.signerCertificate) {
    throw new Rejected(`signature ${signer}: ${result.message}`);
  }
  const certs = [...others, ...(data.certificates ?? []).filter((c) => c !== result.signerCertificate), result.signerCertificate];
  const path = await new pkijs.CertificateChainValidationEngine({ trustedCerts: roots, certs }).verify();
  if (!path.result) {
    throw new Rejected(`path of signer ${signer}: ${path.resultMessage}`);
  }
}

/** Checks a TimeStampToken over what it should be of; pkijs compares the imprint. */
async function verifyToken(der, stamped, roots, others) {
  const data = read(der);
  await verify(data, 0, stamped, roots, others);
  const info = pkijs.TSTInfo.fromBER(data.encapContentInfo.eContent.getValue());
  return { time: info.genTime.getTime(), hash: info.messageImprint.hashAlgorithm.algorithmId };
}

async function judge(question) {
  const der = Buffer.from(question.cms, "base64");
  const roots = [pkijs.Certificate.fromBER(exact(Buffer.from(question.root, "base64")))];
  const data = read(der);
  const attached = data.encapContentInfo.eContent?.getValue();
  const content = attached ? Buffer.from(attached) : Buffer.from(question.content, "base64");

  const members = elements(elements(elements(der)[1])[0]); // of SignedData
  const sets = { 0xa0: [], 0xa1: [] };
  for (const each of members.slice(3, -1)) {
    sets[each[0]] = elements(each);
  }
  const signers = [];
  for (const [i, raw] of elements(members.at(-1)).entries()) {
    await verify(data, i, content, roots, []);
    const fields = elements(raw);
    const unsigned = fields.at(-1)[0] === 0xa1 ? elements(fields.pop()).map(elements) : [];
    const stamps = { signature: [], archive: [] };
    for (const [type, values] of unsigned) {
      const token = elements(values)[0];
      if (oid(type) === SIGNATURE_TIME_STAMP) {
        const { time } = await verifyToken(token, value(fields.at(-1)), roots, data.certificates);
        stamps.signature.push(time);
      } else if (oid(type) === ARCHIVE_TIME_STAMP) {
        const index = hashIndex(token);
        const hash = HASHES[oid(elements(elements(index)[0])[0])];
        const named = [sets[0xa0], sets[0xa1], unsigned.flatMap(([t, v]) => elements(v).map((one) => Buffer.concat([t, one])))];
        await present(elements(index).slice(1), named, hash);
        const contentType = elements(members[2])[0];
        const stamped = Buffer.concat([contentType, await digest(hash, content), ...fields, index]);
        const token_ = await verifyToken(token, stamped, roots, data.certificates);
        if (HASHES[token_.hash] !== hash) {
          throw new Rejected("ats-hash-index-v3 by another algorithm than the imprint");
        }
        stamps.archive.push(token_.time);
      }
    }
    signers.push(stamps);
  }
  return { signers };
}

/** The only value of ats-hash-index-v3 in an archive time-stamp, as it stands. */
function hashIndex(token) {
  const signer = elements(elements(elements(elements(elements(token)[1])[0]).at(-1))[0]);
  for (const attribute of signer.at(-1)[0] === 0xa1 ? elements(signer.at(-1)) : []) {
    const [type, values] = elements(attribute);
    if (oid(type) === HASH_INDEX && elements(values).length === 1) {
      return elements(values)[0];
    }
  }
  throw new Rejected("no ats-hash-index-v3");
}

/** Demands that all that an index names is there. */
async function present(lists, named, hash) {
  for (const [i, list] of lists.entries()) {
    const have = new Set();
    for (const each of named[i]) {
      have.add((await digest(hash, each)).toString("hex"));
    }
    for (const each of elements(list)) {
      if (!have.has(Buffer.from(value(each)).toString("hex"))) {
        throw new Rejected("ats-hash-index-v3 names what is not there");
      }
    }
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await judge(JSON.parse(line));
  } catch (no) {
    answer = { error: `${no.name ?? "Error"}: ${no.message ?? no}` };
  }
  console.log(JSON.stringify(answer));
}
