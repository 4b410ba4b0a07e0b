import { expect, test } from "vitest";
import { readConfig as readAll } from "./config.ts";

/** Without whatever this machine's user has configured. */
const readConfig = (env: NodeJS.ProcessEnv) => readAll({ CLAUDECLUSTER_CONFIG_DIR: "/nowhere", ...env });

test("takes the first credential there is, and the API's own endpoint", () => {
  expect(readConfig({}).environmentCredential).toBeUndefined();
  expect(readConfig({}).modelEndpoint.href).toBe("https://api.anthropic.com/");
  expect(readConfig({ CLAUDE_CODE_OAUTH_TOKEN: "o", ANTHROPIC_API_KEY: " k\n" }).environmentCredential).toEqual({
    kind: "api-key",
    value: "k",
  });
});

test("reads exact hosts and ports", () => {
  const { mode, allowed, allowedPrivate } = readConfig({
    CLAUDECLUSTER_EGRESS_ALLOW: "Example.com, registry.test:8443",
    CLAUDECLUSTER_EGRESS_PRIVATE: "git.corp:443",
  }).egress;
  expect(mode).toBe("listed");
  expect(allowed.slice(-2)).toEqual(["example.com:443", "registry.test:8443"]);
  expect(allowed).toContain("registry.npmjs.org:443");
  expect(allowedPrivate).toEqual(["git.corp:443"]);
});

test("keeps sessions for a month, unless it is told otherwise", () => {
  expect(readConfig({}).retention).toEqual({
    maxAgeMs: 30 * 24 * 60 * 60 * 1000,
    maxBytes: 2 * 1024 ** 3,
    maxLiveBytes: 512 * 1024 ** 2,
  });
  expect(
    readConfig({
      CLAUDECLUSTER_RETENTION_DAYS: "0.5",
      CLAUDECLUSTER_STORE_MAX_BYTES: "1000000",
      CLAUDECLUSTER_SESSION_MAX_BYTES: "5000",
    }).retention,
  ).toEqual({ maxAgeMs: 12 * 60 * 60 * 1000, maxBytes: 1_000_000, maxLiveBytes: 5000 });
});

test.each([
  [{ CLAUDECLUSTER_RETENTION_DAYS: "soon" }, "NUMBER_INVALID"],
  [{ ANTHROPIC_BASE_URL: "ftp://x" }, "ENDPOINT_INVALID"],
  [{ ANTHROPIC_BASE_URL: "http://u:p@x" }, "ENDPOINT_INVALID"],
  [{ ANTHROPIC_API_KEY_FILE: "/dev/null" }, "CREDENTIAL_EMPTY"],
  [{ ANTHROPIC_API_KEY: "two words" }, "CREDENTIAL_INVALID"],
  [{ ANTHROPIC_BASE_URL: "https://bedrock-runtime.us-east-1.amazonaws.com" }, "PROVIDER_UNSUPPORTED"],
  [{ ANTHROPIC_BASE_URL: "https://us-east5-aiplatform.googleapis.com/v1" }, "PROVIDER_UNSUPPORTED"],
  [{ ANTHROPIC_BASE_URL: "https://mine.services.ai.azure.com/anthropic" }, "PROVIDER_UNSUPPORTED"],
  [{ CLAUDECLUSTER_DAILY_BUDGET_USD: "-1" }, "NUMBER_INVALID"],
  [{ CLAUDECLUSTER_MAX_RUNNING: "1.5" }, "NUMBER_INVALID"],
  [{ CLAUDECLUSTER_EGRESS: "all" }, "EGRESS_INVALID"],
  [{ CLAUDECLUSTER_LOG_LEVEL: "loud" }, "LOG_LEVEL_INVALID"],
  [{ CLAUDECLUSTER_EGRESS_ALLOW: "*.example.com" }, "EGRESS_INVALID"],
])("refuses %j without repeating a secret", (env, reason) => {
  expect(() => readConfig(env)).toThrow(
    expect.objectContaining({
      reason,
      kind: "FAILED_PRECONDITION",
      message: expect.not.stringContaining("two words"),
    }),
  );
});
