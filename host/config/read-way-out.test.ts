import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readSettings } from "./read-settings.ts";
import { readWayOut as readAll } from "./read-way-out.ts";
import type { ConfigFile } from "./settings.ts";

const readWayOut = (env: NodeJS.ProcessEnv, file: ConfigFile) => readAll(env, readSettings(env, file));

const PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
let directory: string;
let authority: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "claudecluster-way-out-"));
  authority = join(directory, "ca.pem");
  writeFileSync(authority, PEM);
  writeFileSync(join(directory, "empty"), "");
});
afterAll(() => rmSync(directory, { recursive: true }));

test("takes the variables, in lower case first, and otherwise the file", () => {
  const file = { https_proxy: "proxy.test:3128", no_proxy: "A.test, 10.0.0.0/8" };
  const fromFile = readWayOut({}, file);
  expect(fromFile.httpsProxy?.href).toBe("http://proxy.test:3128/");
  expect(fromFile).toMatchObject({ httpProxy: undefined, noProxy: ["a.test", "10.0.0.0/8"], authorities: [] });
  const env = { HTTPS_PROXY: "http://upper.test", https_proxy: "http://lower.test", HTTP_PROXY: "http://plain.test:8" };
  const fromVariables = readWayOut({ ...env, NO_PROXY: "b.test" }, file);
  expect(fromVariables.httpsProxy?.host).toBe("lower.test");
  expect(fromVariables.httpProxy?.host).toBe("plain.test:8");
  expect(fromVariables.noProxy).toEqual(["b.test"]);
});

test("trusts every authority that is named, and says which file cannot be read", () => {
  const env = { NODE_EXTRA_CA_CERTS: authority, SSL_CERT_FILE: join(directory, "nowhere") };
  expect(readWayOut(env, {}).authorities).toEqual([PEM]);
  expect(readWayOut(env, { ca_file: authority }).authorities).toEqual([PEM]);
  expect(readWayOut({ HOME: directory }, { ca_file: "~/ca.pem" }).authorities).toEqual([PEM]);
  for (const name of ["nowhere", "empty"]) {
    const wrong = { ca_file: join(directory, name) };
    expect(() => readWayOut({}, wrong)).toThrow(expect.objectContaining({ reason: "CA_UNREADABLE" }));
  }
});

test.each(["socks5://user:secret@proxy.test", "https://user:secret@proxy.test", "http://user:secret@"])(
  "refuses %s as a proxy, and repeats nothing of it",
  (value) => {
    const read = () => readWayOut({ HTTPS_PROXY: value }, {});
    expect(read).toThrow(expect.objectContaining({ reason: "PROXY_INVALID" }));
    expect(read).not.toThrow(/secret/);
  },
);
