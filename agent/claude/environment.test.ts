import { hostname } from "node:os";
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, test, vi } from "vitest";
import { SessionSpecSchema } from "../../proto/index.ts";
import { claudeEnvironment } from "./environment.ts";

const options = { home: "/home/claude", path: "/usr/bin:/bin", modelPort: 8080, proxyPort: 3128 };

afterEach(() => {
  vi.unstubAllEnvs();
});

test("inherits nothing", () => {
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
  vi.stubEnv("CLAUDECLUSTER_TOKEN_FILE", "/secret");
  const environment = claudeEnvironment(create(SessionSpecSchema), options);
  expect(
    Object.keys(environment).filter((name) => name.startsWith("AWS_") || name.startsWith("CLAUDECLUSTER_")),
  ).toEqual([]);
});

test("leads everything to the relay, with a key that is none", () => {
  const environment = claudeEnvironment(create(SessionSpecSchema), options);
  expect(environment).toMatchObject({
    ANTHROPIC_BASE_URL: "http://127.0.0.1:8080",
    ANTHROPIC_API_KEY: "placeholder",
    HTTPS_PROXY: "http://127.0.0.1:3128",
    https_proxy: "http://127.0.0.1:3128",
    HOME: "/home/claude",
    PATH: "/usr/bin:/bin",
  });
});

test("leads nothing to the relay that is the container's own", () => {
  const { NO_PROXY = "", no_proxy: lower } = claudeEnvironment(create(SessionSpecSchema), options);
  expect(NO_PROXY).toBe(lower);
  expect(NO_PROXY.split(",")).toEqual(
    expect.arrayContaining(["localhost", ".localhost", "127.0.0.1", "127.0.0.0/8", "0.0.0.0", "::1", hostname()]),
  );
  // Python's httpx cannot be used where it reads this.
  expect(NO_PROXY).not.toContain("[");
});

test("has Node and Java use the relay, too, unless the session thinks otherwise", () => {
  const plain = claudeEnvironment(create(SessionSpecSchema), options);
  expect(plain).toMatchObject({ NODE_USE_ENV_PROXY: "1" });
  expect(plain["JAVA_TOOL_OPTIONS"]).toMatch(
    /^-Dhttp\.proxyHost=127\.0\.0\.1 -Dhttp\.proxyPort=3128 -Dhttps\..*127\.\*\|/,
  );
  const environment = { NODE_USE_ENV_PROXY: "0", JAVA_TOOL_OPTIONS: "-Dhttp.proxyHost=" };
  expect(claudeEnvironment(create(SessionSpecSchema, { environment }), options)).toMatchObject({
    NODE_USE_ENV_PROXY: "0",
    JAVA_TOOL_OPTIONS: expect.stringMatching(/ -Dhttp\.nonProxyHosts=\S+ -Dhttp\.proxyHost=$/) as string,
  });
});

test("leads git to its listener, after the session's own configuration", () => {
  const environment = { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "a.b", GIT_CONFIG_VALUE_0: "c" };
  const urlConfig = [["url.http://127.0.0.1:9418/https/host/.insteadOf", "https://host/"]] as const;
  expect(claudeEnvironment(create(SessionSpecSchema, { environment }), { ...options, urlConfig })).toMatchObject({
    GIT_CONFIG_COUNT: "2",
    GIT_CONFIG_KEY_0: "a.b",
    GIT_CONFIG_KEY_1: urlConfig[0][0],
    GIT_CONFIG_VALUE_1: urlConfig[0][1],
  });
});

test("adds what the session asks for, and lets it replace nothing that matters", () => {
  const environment = {
    CI: "1",
    PATH: "/opt/tool/bin",
    LANG: "de_DE.UTF-8",
    HOME: "/elsewhere",
    GIT_TERMINAL_PROMPT: "1",
  };
  expect(claudeEnvironment(create(SessionSpecSchema, { environment }), options)).toMatchObject({
    CI: "1",
    PATH: "/opt/tool/bin:/usr/bin:/bin",
    LANG: "de_DE.UTF-8",
    HOME: "/home/claude",
    GIT_TERMINAL_PROMPT: "0",
  });
});
