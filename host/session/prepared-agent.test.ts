import { create, fromJsonString } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  CommandSpecSchema,
  PrepareSessionRequestSchema,
  RepositorySpecSchema,
  type SessionSpec,
  SessionSpecSchema,
} from "../../proto/index.ts";
import { preparationFor } from "./prepared-agent.ts";

const spec = create(SessionSpecSchema, {
  task: "Find the secret",
  repository: create(RepositorySpecSchema, { uri: "https://example.com/secret.git", ref: "secret" }),
  model: "opus",
  permissionMode: "acceptEdits",
  allowedTools: ["Bash(ls *)"],
  check: create(CommandSpecSchema, { command: "check --token secret" }),
});
const gitPrefixes = ["https://example.com/"];

function prepares(more: Partial<SessionSpec> = {}, withUserFiles = false): string | undefined {
  return preparationFor({ ...spec, ...more }, { gitPrefixes, withUserFiles }).prepares;
}

test("a container prepares itself for what Claude is started with, and is told nothing else of the session", () => {
  const text = prepares()!;
  expect(fromJsonString(PrepareSessionRequestSchema, text)).toMatchObject({
    gitPrefixes,
    spec: { model: "opus", permissionMode: "acceptEdits", allowedTools: ["Bash(ls *)"] },
  });
  expect(text).not.toContain("secret");
});

test.each<[string, Partial<SessionSpec>]>([
  ["variables, which may be secrets", { environment: { TOKEN: "secret" } }],
  ["a setup, which comes first", { setup: create(CommandSpecSchema, { command: "npm ci" }) }],
  ["settings of the project", { loadProjectSettings: true }],
  ["a conversation that goes on", { previousSessionId: "ses_1" }],
])("it does not for a session with %s", (_what, more) => {
  expect(prepares(more)).toBeUndefined();
});

test("nor where files of the user's are copied first", () => {
  expect(prepares({}, true)).toBeUndefined();
});
