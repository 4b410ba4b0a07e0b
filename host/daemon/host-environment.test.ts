import { join } from "node:path";
import { expect, test } from "vitest";
import { readDirectories } from "../directories.ts";
import { hostEnvironment } from "./host-environment.ts";

const of = (env: NodeJS.ProcessEnv) => hostEnvironment(env, readDirectories(env));

test("a host on demand has its caller's directories, network and helpers, and nothing for programs of the caller's", () => {
  const kept = {
    HOME: "/home/ann",
    LC_ALL: "C",
    DOCKER_HOST: "unix:///run/docker.sock",
    HTTPS_PROXY: "http://proxy",
    SSH_AUTH_SOCK: "/run/ssh",
    GIT_CONFIG_SYSTEM: "/opt/gitconfig",
    CLAUDECLUSTER_LOG_LEVEL: "debug",
  };
  const others = { NODE_OPTIONS: "--inspect", ANTHROPIC_API_KEY: "sk-ant-x", CLAUDECODE: "1", CLAUDE_CODE_X: "1" };
  const env = of({ ...kept, ...others });
  expect(env).toMatchObject({ ...kept, CLAUDECLUSTER_STATE_DIR: "/home/ann/.local/state/claudecluster" });
  expect(Object.keys(env).filter((name) => name in others)).toEqual([]);
  expect(env).not.toHaveProperty("CLAUDE_CONFIG_DIR");
});

test("a host on demand finds its caller's own Claude set-up, wherever it was started", () => {
  expect(of({ HOME: "/home/ann", CLAUDE_CONFIG_DIR: "/work/claude" })).toMatchObject({
    CLAUDE_CONFIG_DIR: "/work/claude",
  });
  expect(of({ HOME: "/home/ann", CLAUDE_CONFIG_DIR: "claude" })).toMatchObject({
    CLAUDE_CONFIG_DIR: join(process.cwd(), "claude"),
  });
  expect(of({ HOME: "/home/ann", CLAUDE_CONFIG_DIR: "" })).not.toHaveProperty("CLAUDE_CONFIG_DIR");
});
