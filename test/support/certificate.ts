import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** A key and its certificate, in PEM. */
export interface Certificate {
  key: string;
  cert: string;
}

/** Makes a certificate for 127.0.0.1, 0.0.0.0 and localhost that is its own authority. */
export async function makeCertificate(): Promise<Certificate> {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-certificate-"));
  const at = (name: string) => join(directory, name);
  try {
    const subject = [
      "-subj",
      "/CN=claudecluster-test",
      "-addext",
      "subjectAltName=IP:127.0.0.1,IP:0.0.0.0,DNS:localhost",
    ];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    await promisify(execFile)("openssl", [
      "req",
      "-x509",
      ...kind,
      ...subject,
      "-keyout",
      at("key"),
      "-out",
      at("cert"),
    ]);
    return { key: await readFile(at("key"), "utf8"), cert: await readFile(at("cert"), "utf8") };
  } finally {
    await rm(directory, { recursive: true });
  }
}
