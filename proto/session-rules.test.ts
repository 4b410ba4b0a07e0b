import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  BudgetSchema,
  CommandSpecSchema,
  EgressSpecSchema,
  RepositorySpecSchema,
  SessionSpecSchema,
} from "./gen/claudecluster/session/v1alpha1/session_spec_pb.ts";
import { redactUri } from "./repository-address.ts";
import { completeSpec } from "./session-rules.ts";

const spec = (init: Parameters<typeof create<typeof SessionSpecSchema>>[1]) =>
  create(SessionSpecSchema, { task: "x", ...init });
const repository = (uri: string, ref = "") => spec({ repository: create(RepositorySpecSchema, { uri, ref }) });

const command = (text: string, ms?: number) =>
  create(CommandSpecSchema, { command: text, ...(ms !== undefined && { timeout: durationFromMs(ms) }) });

test("fills in the defaults", () => {
  const complete = completeSpec(repository("https://example.com/a/b"));
  expect(complete.permissionMode).toBe("bypassPermissions");
  expect(durationMs(complete.timeout!)).toBe(300_000);
  expect(complete.repository?.depth).toBe(1);
  expect(durationMs(complete.decisionTimeout!)).toBe(600_000);
  expect(durationMs(completeSpec(spec({ setup: command("make") })).setup!.timeout!)).toBe(600_000);
  expect(completeSpec(spec({ traceParent: "no trace" })).traceParent).toBe("");
});

test.each([
  ["an empty task", spec({ task: " \n" }), "TASK_EMPTY"],
  ["a book of a task", spec({ task: "x".repeat(1024 * 1024 + 1) }), "TASK_TOO_LONG"],
  ["an unknown permission mode", spec({ permissionMode: "yolo" }), "PERMISSION_MODE_UNKNOWN"],
  ["a model that is an option", spec({ model: "--help" }), "MODEL_INVALID"],
  ["a tool that is an option", spec({ allowedTools: ["--settings"] }), "TOOL_INVALID"],
  ["a negative step count", spec({ maxStepCount: -1 }), "STEP_COUNT_INVALID"],
  ["a negative turn count", spec({ maxTurnCount: -1 }), "TURN_COUNT_INVALID"],
  ["a negative budget", spec({ budget: create(BudgetSchema, { maxCostUsd: -1 }) }), "BUDGET_INVALID"],
  ["a budget without end", spec({ budget: create(BudgetSchema, { maxCostUsd: Infinity }) }), "BUDGET_INVALID"],
  [
    "a pattern of hosts",
    spec({ egress: create(EgressSpecSchema, { allowedDestinations: ["*.a.test"] }) }),
    "DESTINATION_INVALID",
  ],
  [
    "a word as a host",
    spec({ egress: create(EgressSpecSchema, { allowedDestinations: ["foo"] }) }),
    "DESTINATION_INVALID",
  ],
  ["no time", spec({ timeout: durationFromMs(0) }), "TIMEOUT_INVALID"],
  ["a negative time", spec({ timeout: durationFromMs(-5000) }), "TIMEOUT_INVALID"],
  ["a year", spec({ timeout: durationFromMs(365 * 86_400_000) }), "TIMEOUT_INVALID"],
  ["a decision before it is asked for", spec({ decisionTimeout: durationFromMs(-1) }), "DECISION_TIMEOUT_INVALID"],
  ["a variable that is no name", spec({ environment: { "A B": "x" } }), "ENVIRONMENT_INVALID"],
  ["a key", spec({ environment: { ANTHROPIC_API_KEY: "x" } }), "ENVIRONMENT_RESERVED"],
  ["another endpoint", spec({ environment: { ANTHROPIC_BASE_URL: "x" } }), "ENVIRONMENT_RESERVED"],
  ["another proxy", spec({ environment: { https_proxy: "x" } }), "ENVIRONMENT_RESERVED"],
  ["another place for the transcript", spec({ environment: { CLAUDE_CONFIG_DIR: "/tmp" } }), "ENVIRONMENT_RESERVED"],
  ["a session that cannot be", spec({ previousSessionId: "../x" }), "PREVIOUS_SESSION_INVALID"],
  ["a session after one that cannot be", spec({ afterSessionId: "../x" }), "PREVIOUS_SESSION_INVALID"],
  ["both at once", spec({ previousSessionId: "a", afterSessionId: "b" }), "PREVIOUS_SESSION_INVALID"],
  ["a book of a setup", spec({ setup: command("x".repeat(8193)) }), "COMMAND_INVALID"],
  ["a check with an end in it", spec({ check: command("a\0b") }), "COMMAND_INVALID"],
  ["a check without time", spec({ check: command("a", 0) }), "COMMAND_INVALID"],
  ["a path as repository", repository("/etc"), "REPOSITORY_URI_INVALID"],
  ["ssh", repository("git@example.com:a/b.git"), "REPOSITORY_URI_INVALID"],
  ["a helper protocol", repository("ext::sh -c id"), "REPOSITORY_URI_INVALID"],
  ["a file", repository("file:///etc"), "REPOSITORY_URI_INVALID"],
  ["credentials in the URI", repository("https://user:secret@example.com/a"), "REPOSITORY_URI_CREDENTIALS"],
  ["a ref that is an option", repository("https://example.com/a", "--upload-pack=x"), "REF_INVALID"],
  ["a ref with dots", repository("https://example.com/a", "a..b"), "REF_INVALID"],
])("refuses %s", (_name, given, reason) => {
  expect(() => completeSpec(given)).toThrow(expect.objectContaining({ reason, kind: "INVALID_ARGUMENT" }));
});

test("takes a page's branch for the ref, and an id in capitals for the id", () => {
  const id = "0123456789ABCDEF0123456789abcdef01234567";
  expect(completeSpec(repository("https://github.com/o/r/tree/main/")).repository).toMatchObject({
    uri: "https://github.com/o/r",
    ref: "main",
  });
  expect(completeSpec(repository("https://example.com/r", id)).repository?.ref).toBe(id.toLowerCase());
  expect(completeSpec(repository("https://example.com/r", "MAIN")).repository?.ref).toBe("MAIN");
  expect(() => completeSpec(repository("https://github.com/o/r/tree/a..b"))).toThrow(
    expect.objectContaining({ reason: "REF_INVALID" }),
  );
});

test("never repeats a password", () => {
  expect(redactUri("ssh://me:secret@host/x")).toBe("ssh://***@host/x");
  expect(redactUri("me:secret@host:x")).toBe("***@host:x");
  expect(redactUri("git@host:x")).toBe("git@host:x");
  expect(() => completeSpec(repository("https://user:hunter2@example.com/a"))).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining("hunter2") }),
  );
});
