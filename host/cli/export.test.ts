import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { saying } from "../../test/contract/sessions-contract.ts";
import { ContainerSpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import type { CommandIo } from "./command-io.ts";
import { exportCommand } from "./export.ts";

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "claudecluster-export-"))));
afterEach(() => rmSync(directory, { recursive: true }));

test("an export is without the secrets of the session and of this machine, which do not look like any", async () => {
  const config = {
    credential: { api_key: "plain-model-key" },
    git_credentials: { "git.test": { token: "plain-git-token" } },
    otlp: { endpoint: "https://otlp.test", headers: { authorization: "Bearer plain-header", key: "plain-key" } },
    notify: { url: "https://plain-hook.test/" },
  };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config), { mode: 0o600 });
  using sessions = new MemorySessions();
  const environment = { DB_PASSWORD: "plain-password", DB_2_PASSWORD: "correct horse battery", NODE_ENV: "production" };
  // The title ends in the midst of a secret.
  const cut = "x".repeat(25);
  const spec = create(SessionSpecSchema, {
    task: `Log in with plain-password ${cut} DB_PASSWORD=correct horse battery`,
    environment,
  });
  const { id } = await sessions.create({ spec, container: create(ContainerSpecSchema) });
  sessions.say(
    id,
    saying(
      "in production: plain-model-key, plain-git-token, plain-variable, plain-header, plain-key, https://plain-hook.test/",
    ),
  );
  const io: CommandIo = {
    stdin: process.stdin,
    stdout: new PassThrough().resume(),
    stderr: new PassThrough().resume(),
    env: { CLAUDECLUSTER_CONFIG_DIR: directory, HOME: directory, ANTHROPIC_AUTH_TOKEN: "plain-variable" },
    signal: new AbortController().signal,
  };
  const file = join(directory, "session.html");
  expect(await exportCommand(sessions, { sessionId: id, file }, io)).toBe(0);
  const page = readFileSync(file, "utf8");
  expect(page).not.toContain("plain-");
  expect(page).not.toMatch(/correct|horse|battery/);
  expect(page).toContain(`Log in with [secret-left-out] ${cut} DB_PASSWORD=[secret-left-out]`);
  expect(page).toContain(`in production: ${Array(6).fill("[secret-left-out]").join(", ")}`);
});
