import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfiguredCredential } from "./configured-credential.ts";

let configDirectory: string;
beforeAll(async () => {
  configDirectory = await mkdtemp(join(tmpdir(), "claudecluster-config-"));
});
afterAll(() => rm(configDirectory, { recursive: true }));

const configure = (credential: object | undefined, more: object = {}) =>
  writeFile(join(configDirectory, "config.json"), JSON.stringify({ credential, ...more }), { mode: 0o600 });
const node = (script: string) => [process.execPath, "-e", script];

test("a change of the file counts at once, and the environment before the file", async () => {
  const source = new ConfiguredCredential({ configDirectory, environmentCredential: undefined });
  await configure(undefined);
  expect([source.kind(), await source.read()]).toEqual([undefined, undefined]);
  await configure({ oauth_token: " t\n" });
  expect(await source.read()).toEqual({ kind: "oauth-token", value: "t" });
  await configure({ api_key: "k" });
  expect(await source.renew({ kind: "oauth-token", value: "t" })).toEqual({ kind: "api-key", value: "k" });
  const environmentCredential = { kind: "auth-token", value: "e" } as const;
  const fixed = new ConfiguredCredential({ configDirectory, environmentCredential });
  expect([fixed.kind(), await fixed.read()]).toEqual(["auth-token", environmentCredential]);
});

test("a credential that is stored with another endpoint never goes to the one in use", async () => {
  const inUse = { configDirectory, environmentCredential: undefined, endpoint: new URL("https://api.anthropic.com") };
  const source = new ConfiguredCredential(inUse);
  await configure({ api_key: "k" });
  expect(await source.read()).toMatchObject({ value: "k" });
  await configure({ api_key: "for the gateway" }, { base_url: "https://gateway.example.com" });
  await expect(source.read()).rejects.toMatchObject({
    reason: "CONFIG_CHANGED",
    help: expect.stringContaining("claudecluster shutdown"),
  });
  await configure({ api_key: "k" }, { base_url: "https://api.anthropic.com/" });
  expect(await source.read()).toMatchObject({ value: "k" });
});

test("a helper is asked once for all who want to know, and again after its answer was refused", async () => {
  await configure({ helper: ["print-key"], kind: "auth_token" });
  let asked = 0;
  const runHelper = async () => `key-${++asked}\n`;
  const source = new ConfiguredCredential({ configDirectory, environmentCredential: undefined, runHelper });
  expect(source.kind()).toBe("auth-token");
  const first = { kind: "auth-token", value: "key-1" } as const;
  expect(await Promise.all([source.read(), source.read()])).toEqual([first, first]);
  // Refused right away: a helper is not asked again and again.
  expect(await source.renew(first)).toEqual(first);
  expect(await source.renew({ kind: "auth-token", value: "older" })).toEqual(first);
  expect(asked).toBe(1);
});

test("a helper runs without a shell, and its failures say nothing of what it printed", async () => {
  const read = async (helper: string[]) => {
    await configure({ helper });
    return new ConfiguredCredential({ configDirectory, environmentCredential: undefined }).read();
  };
  expect(await read(node("console.log('key $HOME'.split(' ')[0])"))).toEqual({ kind: "api-key", value: "key" });
  const failure = (why: string) => ({
    reason: "CREDENTIAL_HELPER_FAILED",
    kind: "FAILED_PRECONDITION",
    message: expect.stringContaining(why),
  });
  await expect(read(["/no/such/program"])).rejects.toMatchObject(failure("no such program"));
  const leaking = read(node("console.log('secret'); console.error('secret'); process.exit(7)"));
  await expect(leaking).rejects.toMatchObject(failure("exit code 7"));
  await expect(leaking).rejects.not.toMatchObject({ message: expect.stringContaining("secret") });
  await expect(read(node("process.stdout.write('x'.repeat(1e6))"))).rejects.toMatchObject(failure("printed too much"));
  await expect(read(node("console.log('two words')"))).rejects.toMatchObject({ reason: "CREDENTIAL_INVALID" });
});
