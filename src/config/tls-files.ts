/** The files of a TLS set-up as PEM texts: what is something else is named, with the command that converts it. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { LogagentError } from "../errors.ts";

const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;

/** Throws LogagentError CONFIG unless the file holds a certificate, or several. `flag` and `path` are for the message. */
export function certificatesOf(flag: string, path: string, bytes: Buffer): string {
  const text = bytes.toString("latin1");
  const blocks = [...text.matchAll(pemBlock)].filter(([, label]) => /CERTIFICATE$/.test(label ?? ""));
  if (blocks.some(([block]) => isCertificate(block))) return text;
  throw wrong(flag, path, blocks.length > 0 ? "its certificates are damaged" : kindOf(bytes, path));
}

/** The key without its passphrase, where it has one. Throws LogagentError CONFIG. */
export function privateKeyOf(flag: string, path: string, bytes: Buffer, passphrase: string | undefined): string {
  const text = bytes.toString("latin1");
  if (![...text.matchAll(pemBlock)].some(([, label]) => /PRIVATE KEY$/.test(label ?? ""))) {
    throw wrong(flag, path, kindOf(bytes, path));
  }
  const encrypted = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(text);
  if (!encrypted) return text;
  if (passphrase === undefined) throw wrong(flag, path, "the key is encrypted; give --tls-key-passphrase-file");
  try {
    return String(createPrivateKey({ key: text, passphrase }).export({ type: "pkcs8", format: "pem" }));
  } catch (error) {
    throw wrong(flag, path, "the passphrase of --tls-key-passphrase-file does not open the key", error);
  }
}

function isCertificate(pemOrDer: string | Buffer): boolean {
  try {
    return new X509Certificate(pemOrDer) !== null;
  } catch {
    return false;
  }
}

function isKey(der: Buffer): boolean {
  return (["pkcs8", "pkcs1", "sec1"] as const).some((type) => {
    try {
      return createPrivateKey({ key: der, format: "der", type }) !== null;
    } catch {
      return false;
    }
  });
}

/** What the file is instead of what it should be. */
function kindOf(bytes: Buffer, path: string): string {
  if (bytes.length === 0) return "it is empty";
  const label = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(bytes.toString("latin1"))?.[1];
  if (label) return `it holds a PEM "${label}"`;
  if (bytes.length >= 4 && bytes.readUInt32BE(0) === 0xfeedfeed)
    return "it is a Java key store (JKS); export it as PEM";
  if (bytes[0] === 0x30) {
    if (isCertificate(bytes)) return `it is a DER certificate; convert it: openssl x509 -inform der -in ${path}`;
    if (isKey(bytes)) return `it is a DER key; convert it: openssl pkey -inform der -in ${path}`;
    // PFX ::= SEQUENCE { version INTEGER {v3(3)}, … } (RFC 7292)
    if (bytes.subarray(0, 8).includes(Buffer.from([2, 1, 3]))) {
      return `it is a PKCS #12 store; convert it: openssl pkcs12 -in ${path}`;
    }
  }
  return "it is no PEM file";
}

function wrong(flag: string, path: string, what: string, cause?: unknown): LogagentError {
  return new LogagentError("CONFIG", `reading ${flag} "${path}": ${what}`, cause);
}
