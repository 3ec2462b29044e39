/** X.509 certificates for the TLS listeners and clients: PEM, made with node:crypto alone (RFC 5280, DER by hand). */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export interface Certificate {
  cert: string;
  /** PKCS #8. */
  key: string;
}

export interface CertificateOptions {
  commonName: string;
  /** DNS names and IPv4 addresses. */
  hosts?: readonly string[];
  /** Absent: signed by itself, a certificate authority. */
  issuer?: { name: string; key: string };
  from?: Date;
  to?: Date;
}

const day = 86_400_000;

function der(tag: number, ...parts: (Uint8Array | number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const n = body.length;
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...parts: (Uint8Array | number[])[]) => der(0x30, ...parts);
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
const text = (tag: number, value: string) => der(tag, Buffer.from(value));
const name = (commonName: string) => sequence(der(0x31, sequence(oid("550403"), text(0x0c, commonName))));
const time = (date: Date) => text(0x18, `${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`);
const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [der(0x01, [0xff])] : []), der(0x04, value));
}

function extensions(hosts: readonly string[], isAuthority: boolean): Buffer {
  const list = [extension("551d13", true, isAuthority ? sequence(der(0x01, [0xff])) : sequence())];
  if (hosts.length > 0) {
    const names = hosts.map((host) =>
      /^[\d.]+$/.test(host) ? der(0x87, host.split(".").map(Number)) : text(0x82, host),
    );
    list.push(extension("551d11", false, sequence(...names)));
  }
  return der(0xa3, sequence(...list));
}

/** P-256, ECDSA with SHA-256; valid from yesterday for ten days unless told otherwise. */
export function makeCertificate(options: CertificateOptions): Certificate {
  const { commonName, hosts = [], issuer } = options;
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const now = Date.now();
  const tbs = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [0x01, ...crypto.getRandomValues(new Uint8Array(8))]),
    ecdsaWithSha256,
    name(issuer?.name ?? commonName),
    sequence(time(options.from ?? new Date(now - day)), time(options.to ?? new Date(now + 10 * day))),
    name(commonName),
    publicKey.export({ type: "spki", format: "der" }),
    extensions(hosts, issuer === undefined),
  );
  const signer: KeyObject = issuer ? createPrivateKey(issuer.key) : privateKey;
  const certificate = sequence(tbs, ecdsaWithSha256, der(0x03, [0], sign("sha256", tbs, signer)));
  const lines = certificate.toString("base64").replace(/.{1,64}/g, "$&\n");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

export interface Authority extends Certificate {
  name: string;
  issue(commonName: string, options?: Omit<CertificateOptions, "commonName" | "issuer">): Certificate;
}

export function makeAuthority(commonName = "logagent test CA"): Authority {
  const own = makeCertificate({ commonName });
  return {
    ...own,
    name: commonName,
    issue: (subject, options) =>
      makeCertificate({ ...options, commonName: subject, issuer: { name: commonName, key: own.key } }),
  };
}

/** Valid until yesterday. */
export const expired = { from: new Date(Date.now() - 3 * day), to: new Date(Date.now() - day) };
