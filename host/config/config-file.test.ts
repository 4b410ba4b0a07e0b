import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfig } from "./config.ts";
import { readConfigFile } from "./config-file.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "claudecluster-config-"));
});
afterAll(() => rm(directory, { recursive: true }));

async function write(config: unknown, mode = 0o600): Promise<void> {
  const path = join(directory, "config.json");
  await writeFile(path, typeof config === "string" ? config : JSON.stringify(config));
  await chmod(path, mode);
}
const env = (more: Record<string, string> = {}) => ({ CLAUDECLUSTER_CONFIG_DIR: directory, ...more });

test("nothing is configured where there is no file", () => {
  expect(readConfigFile(join(directory, "nowhere"))).toEqual({});
});

test("the file says what the environment does not", async () => {
  await write({
    credential: { oauth_token: "t" },
    base_url: "http://model.test",
    egress: "open",
    egress_allow: ["a.test:1"],
    egress_private: ["own.test"],
    egress_registries: false,
    egress_max_bytes: 1000,
    image: "i",
    idle_timeout_seconds: 5,
    max_running: 3,
    git_credentials: { "git.test": { token: "t" } },
    git_push_refs: ["refs/heads/bots/*"],
    allowed_models: ["claude-sonnet-*"],
    allowed_betas: ["new"],
    max_output_tokens: 64_000,
    fallback_model: "claude-sonnet-5",
    session_budget: { usd: 2.5, tokens: 1000 },
    daily_budget: { requests: 7 },
  });
  expect(readConfig(env({ CLAUDECLUSTER_DAILY_BUDGET_USD: "20" }))).toMatchObject({
    modelPolicy: { allowedModels: ["claude-sonnet-*"], allowedBetas: ["new"], maxOutputTokens: 64_000 },
    fallbackModel: "claude-sonnet-5",
    budgets: {
      session: { maxCostUsd: 2.5, maxTokenCount: 1000n, maxRequestCount: 0 },
      day: { maxCostUsd: 20, maxTokenCount: 0n, maxRequestCount: 7 },
    },
    environmentCredential: undefined,
    modelEndpoint: new URL("http://model.test"),
    egress: { mode: "open", allowed: ["a.test:1"], allowedPrivate: ["own.test:443"] },
    maxEgressBytes: 1000,
    defaultImage: "i",
    idleTimeoutMs: 5000,
    maxRunning: 3,
    gitPushRefs: ["refs/heads/bots/*"],
  });
  expect(
    readConfig(env({ ANTHROPIC_API_KEY: "k", CLAUDECLUSTER_IMAGE: "j", CLAUDECLUSTER_MAX_RUNNING: "" })),
  ).toMatchObject({
    environmentCredential: { kind: "api-key", value: "k" },
    defaultImage: "j",
    maxRunning: 3,
  });
});

test("a secret that others could read is refused, and so is a file that they could write", async () => {
  await write({ credential: { api_key: "k" } }, 0o640);
  expect(() => readConfigFile(directory)).toThrow(expect.objectContaining({ reason: "CONFIG_UNSAFE" }));
  await write({ image: "i" }, 0o644);
  expect(readConfigFile(directory)).toEqual({ image: "i" });
  await write({ image: "i" }, 0o666);
  expect(() => readConfigFile(directory)).toThrow(expect.objectContaining({ reason: "CONFIG_UNSAFE" }));
});

test.each([
  ["no JSON", '{"credential": {"api_key": "sk-secret"'],
  ["an unknown entry", { creds: "sk-secret" }],
  ["two credentials", { credential: { api_key: "sk-secret", auth_token: "sk-secret" } }],
  ["a helper that is no list", { credential: { helper: "sk-secret" } }],
])("refuses %s without repeating a secret", async (_name, config) => {
  await write(config);
  expect(() => readConfigFile(directory)).toThrow(
    expect.objectContaining({
      reason: "CONFIG_INVALID",
      kind: "FAILED_PRECONDITION",
      message: expect.not.stringContaining("sk-secret"),
    }),
  );
});

test.each([
  [{ egres: "none" }, '"egres" is not known'],
  [{ session_budget: { euro: 5 } }, 'session_budget: "euro" is not known'],
  [{ "sk-secret-1": 5 }, "an entry with another name is not known"],
  [{ max_running: 0 }, "max_running must be at least 1"],
  [{ max_running: 1.5 }, "max_running must be a whole number"],
  [{ daily_budget: { usd: 0 } }, "daily_budget → usd must be more than 0"],
  [{ egress_allow: "a.test" }, 'egress_allow must be a list: ["…"]'],
  [{ egress_allow: [7] }, 'egress_allow → 1 must be text: "…"'],
  [{ egress_registries: "no" }, "egress_registries must be true or false"],
  [
    { git_credentials: { "git.test": { token: "" } } },
    "git_credentials → git.test → token must be longer: it is empty",
  ],
  [{ credential: { key: "sk-secret" } }, "credential must be as in host/README.md"],
  [[], "the whole must be an object: { … }"],
  ['{\n"image": sk-secret\n}', "is not JSON: line 2 is wrong"],
])("says what is wrong with %j", async (config, message) => {
  await write(config);
  expect(() => readConfigFile(directory)).toThrow(
    expect.objectContaining({ reason: "CONFIG_INVALID", message: expect.stringContaining(message) as string }),
  );
});

test("reads past the byte order mark that some editors write", async () => {
  await write('\ufeff{ "image": "i" }');
  expect(readConfigFile(directory)).toEqual({ image: "i" });
});

test("setups are by directory, or by the URL that an address means", async () => {
  const address = "https://github.com/o/r/tree/main";
  await write({ setup: { "/home/me/project/": "npm ci", "~": "true", "~/a": "make", [address]: "make deps" } });
  expect([...readConfig({ ...env(), HOME: "/home/ann" }).setups]).toEqual([
    ["/home/me/project", "npm ci"],
    ["/home/ann", "true"],
    ["/home/ann/a", "make"],
    ["https://github.com/o/r", "make deps"],
  ]);
  await write({ setup: { "no address": "x" } });
  expect(() => readConfig(env())).toThrow("setup:");
  await write({ setup: { "/a": "x".repeat(10_000) } });
  expect(() => readConfig(env())).toThrow("The setup has 10000 bytes");
});
