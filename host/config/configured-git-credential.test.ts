import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ConfiguredGitCredential } from "./configured-git-credential.ts";
import type { AskGit } from "./git-credential-helper.ts";

function configure(config: object): string {
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-git-credential-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, "config.json"), JSON.stringify(config), { mode: 0o600 });
  return directory;
}

function source(config: object, answer?: string) {
  const asked: string[] = [];
  const askGit: AskGit = (action, input) => {
    asked.push(`${action} ${input}`);
    return answer === undefined ? Promise.reject(new Error("none")) : Promise.resolve(answer);
  };
  return { asked, credentials: new ConfiguredGitCredential({ configDirectory: configure(config), askGit }) };
}

const URL_OF = new URL("https://git.test:8443/a/b%20c.git");

test("takes the configured token of a server, and asks nobody else", async () => {
  const { credentials, asked } = source({ git_credentials: { "git.test:8443": { token: "t" } } }, "username=u\n");
  expect(await credentials.fill(URL_OF)).toEqual({ username: "x-access-token", password: "t" });
  await credentials.reject(URL_OF, { username: "x", password: "t" });
  expect(asked).toEqual([]);
});

test("asks the user's helpers as git does, and tells them what became of it", async () => {
  const { credentials, asked } = source({}, "protocol=https\nusername=u\npassword=p=q\n");
  const credential = await credentials.fill(URL_OF);
  expect(credential).toEqual({ username: "u", password: "p=q" });
  await credentials.approve(URL_OF, credential!);
  const repository = "protocol=https\nhost=git.test:8443\npath=a/b c.git";
  expect(asked).toEqual([`fill ${repository}\n\n`, `approve ${repository}\nusername=u\npassword=p=q\n\n`]);
});

test.each([
  ["a helper that has none", {}, URL_OF],
  ["helpers that are not to be asked", { git_credential_helper: false }, URL_OF],
  ["a server without TLS", { git_credentials: { "git.test": { token: "t" } } }, new URL("http://git.test/a")],
  ["a path that would say more", {}, new URL("https://git.test/a%0Ahost=evil.test")],
])("has none of %s", async (_what, config, url) => {
  const { credentials } = source(config, config === undefined ? "" : undefined);
  expect(await credentials.fill(url)).toBeUndefined();
});

test("reads no token from a file that others can read", async () => {
  const directory = configure({ git_credentials: { "git.test": { token: "t" } } });
  chmodSync(join(directory, "config.json"), 0o644);
  const credentials = new ConfiguredGitCredential({ configDirectory: directory });
  await expect(credentials.fill(new URL("https://git.test/a"))).rejects.toMatchObject({ reason: "CONFIG_UNSAFE" });
});

test("asks the real git, where nobody is asked for a password", async () => {
  const credentials = new ConfiguredGitCredential({ configDirectory: configure({}) });
  expect(await credentials.fill(new URL("https://nobody-knows.invalid/a"))).toBeUndefined();
});
