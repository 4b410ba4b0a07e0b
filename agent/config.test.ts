import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { AppError } from "../proto/index.ts";
import { DEFAULTS, readConfig } from "./config.ts";

const directory = mkdtempSync(join(tmpdir(), "agent-config-"));
const tokenFile = join(directory, "token");
const shortTokenFile = join(directory, "short");
writeFileSync(tokenFile, "correct-horse-battery-staple\n");
writeFileSync(shortTokenFile, "secret!");

afterAll(() => rmSync(directory, { recursive: true }));

function complaint(variables: Record<string, string>, ownUid = 0): string {
  try {
    readConfig(variables, { ownUid });
  } catch (error) {
    if (error instanceof AppError) return error.toSentence();
    throw error;
  }
  return "";
}

test("needs nothing in the container that it is made for", () => {
  expect(readConfig({ PATH: "/usr/bin" }, { ownUid: 0 })).toEqual({
    socketPath: "/run/agent/agent.sock",
    listen: undefined,
    sessionIdentity: { uid: 1000, gid: 1000 },
    baseIdentity: { uid: 1001, gid: 1001 },
    paths: { workTree: "/workspace/repo", base: "/base", scan: "/scan", supply: "/supply" },
    home: "/home/claude",
    path: "/usr/bin",
    claudeCommand: "claude",
    modelPort: 8080,
    proxyPort: 3128,
    gitPort: 9418,
    hostAbsenceTimeoutMs: 60_000,
    keepTimeoutMs: 3_600_000,
    logLevel: "info",
    prepare: undefined,
  });
});

test("the README's table has each setting, with its default", () => {
  const readme = readFileSync(new URL("README.md", import.meta.url), "utf8");
  const table = readme.slice(readme.indexOf("| variable ")).split("\n\n")[0]!;
  const names: string[] = [];
  for (const line of table.split("\n").slice(2)) {
    const cells = line.split("|").map((cell) => cell.replaceAll("`", "").trim());
    const own = cells[1]!.split(", ") as (keyof typeof DEFAULTS)[];
    const said = cells.at(-2)!.split(/[,;] /);
    names.push(...own);
    expect(said).toEqual(expect.arrayContaining(own.map((name) => DEFAULTS[name]).filter((value) => value !== "")));
  }
  expect(names).toEqual(Object.keys(DEFAULTS));
});

test("reads what it is told", () => {
  const config = readConfig(
    {
      CLAUDECLUSTER_SESSION_UID: "20001",
      CLAUDECLUSTER_SESSION_GID: "20001",
      CLAUDECLUSTER_BASE_UID: "21001",
      CLAUDECLUSTER_BASE_GID: "21001",
      CLAUDECLUSTER_LISTEN: "0.0.0.0:8811",
      CLAUDECLUSTER_TOKEN_FILE: tokenFile,
      CLAUDECLUSTER_HOST_ABSENCE_TIMEOUT_SECONDS: "5",
      CLAUDECLUSTER_MODEL_PORT: "0",
    },
    { ownUid: 0 },
  );
  expect(config).toMatchObject({
    sessionIdentity: { uid: 20001, gid: 20001 },
    baseIdentity: { uid: 21001, gid: 21001 },
    listen: { host: "0.0.0.0", port: 8811, token: "correct-horse-battery-staple" },
    hostAbsenceTimeoutMs: 5000,
    modelPort: 0,
  });
});

test("runs everything as itself when it is not root", () => {
  const config = readConfig({}, { ownUid: 501 });
  expect(config).toMatchObject({ sessionIdentity: undefined, baseIdentity: undefined });
  expect(complaint({ CLAUDECLUSTER_SESSION_UID: "502" }, 501)).toContain("only root can use other users");
});

test.each([
  ["CLAUDECLUSTER_SOCKET", "run/agent.sock", "an absolute path"],
  ["CLAUDECLUSTER_MODEL_PORT", "65536", "a whole number from 0 to 65535"],
  ["CLAUDECLUSTER_MODEL_PORT", "8080x", "a whole number"],
  ["CLAUDECLUSTER_MODEL_PORT", "-1", "a whole number"],
  ["CLAUDECLUSTER_HOST_ABSENCE_TIMEOUT_SECONDS", "0", "a whole number from 1"],
  ["CLAUDECLUSTER_SESSION_UID", "0", "another user than root"],
  ["CLAUDECLUSTER_BASE_UID", "1000", "another user than SESSION_UID"],
  ["CLAUDECLUSTER_LISTEN", "8811", "host:port"],
  ["CLAUDECLUSTER_LISTEN", "0.0.0.0:8811", "since LISTEN is set"],
  ["CLAUDECLUSTER_LOG_LEVEL", "loud", "one of trace"],
  ["CLAUDECLUSTER_PREPARE", "{", "a PrepareSessionRequest"],
])("refuses %s=%s", (name, value, expected) => {
  expect(complaint({ [name]: value })).toMatch(new RegExp(`^${name}|^CLAUDECLUSTER_TOKEN_FILE`));
  expect(complaint({ [name]: value })).toContain(expected);
});

test("passes over what a newer host says of a session to come", () => {
  const { prepare } = readConfig({ CLAUDECLUSTER_PREPARE: '{"spec":{"model":"x","new":1}}' }, { ownUid: 0 });
  expect(prepare?.spec?.model).toBe("x");
});

test("refuses a setting that there is not, and says which there are", () => {
  expect(complaint({ CLAUDECLUSTER_SESION_UID: "1" })).toMatch(
    /no setting CLAUDECLUSTER_SESION_UID.*CLAUDECLUSTER_SESSION_UID/,
  );
});

test("never shows a token", () => {
  const listen = { CLAUDECLUSTER_LISTEN: "127.0.0.1:1" };
  const complaints = [
    complaint({ ...listen, CLAUDECLUSTER_TOKEN_FILE: shortTokenFile }),
    complaint({ ...listen, CLAUDECLUSTER_TOKEN_FILE: join(directory, "nonesuch") }),
  ];
  for (const text of complaints) {
    expect(text).toContain("CLAUDECLUSTER_TOKEN_FILE");
    expect(text).not.toContain("secret!");
  }
});
