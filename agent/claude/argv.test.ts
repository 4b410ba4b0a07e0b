import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { completeSpec, SessionSpecSchema } from "../../proto/index.ts";
import { claudeArguments } from "./argv.ts";

const conversationId = "0b8f1c1e-5f0a-4c5f-9a52-0d8c2f6f3a11";

function argumentsFor(spec: MessageInitShape<typeof SessionSpecSchema>): string[] {
  return claudeArguments(
    completeSpec(create(SessionSpecSchema, { task: "secret plan", ...spec })),
    { conversationId },
    { modelPort: 4001 },
  );
}

function valueOf(args: readonly string[], flag: string): string | undefined {
  return args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined;
}

test("asks for JSON lines both ways and ignores what the repository says", () => {
  const args = argumentsFor({});
  expect(args[0]).toBe("-p");
  expect(args).toContain("--verbose");
  expect(args).toContain("--strict-mcp-config");
  expect(valueOf(args, "--input-format")).toBe("stream-json");
  expect(valueOf(args, "--output-format")).toBe("stream-json");
  expect(valueOf(args, "--setting-sources")).toBe("user");
  expect(valueOf(args, "--permission-mode")).toBe("bypassPermissions");
  expect(valueOf(args, "--session-id")).toBe(conversationId);
  expect(JSON.parse(valueOf(args, "--settings")!)).toEqual({
    sandbox: { enabled: false },
    env: { ANTHROPIC_BASE_URL: "http://127.0.0.1:4001" },
  });
});

test("loads what the repository brings where the session wants it, but the model's address", () => {
  const args = argumentsFor({ loadProjectSettings: true });
  expect(valueOf(args, "--setting-sources")).toBe("user,project,local");
  expect(args).not.toContain("--strict-mcp-config");
  expect(JSON.parse(valueOf(args, "--settings")!)).toMatchObject({
    sandbox: { enabled: false },
    env: { ANTHROPIC_BASE_URL: "http://127.0.0.1:4001" },
  });
});

test("leaves out what the session does not ask for", () => {
  const args = argumentsFor({});
  for (const flag of ["--model", "--max-turns", "--allowed-tools", "--json-schema"]) expect(args).not.toContain(flag);
});

test("passes the schema that the result is to have", () => {
  expect(valueOf(argumentsFor({ jsonSchema: '{"type":"object"}' }), "--json-schema")).toBe('{"type":"object"}');
});

test("passes model, limit and rules, each rule as one argument", () => {
  const args = argumentsFor({
    model: "sonnet",
    maxStepCount: 7,
    permissionMode: "dontAsk",
    allowedTools: ["Edit", "Bash(git log *)"],
  });
  expect(valueOf(args, "--model")).toBe("sonnet");
  expect(valueOf(args, "--max-turns")).toBe("7");
  expect(valueOf(args, "--permission-mode")).toBe("dontAsk");
  expect(args.slice(args.indexOf("--allowed-tools"))).toEqual(["--allowed-tools", "Edit", "Bash(git log *)"]);
});

test("goes on with a conversation that is there, and begins one otherwise", () => {
  const spec = completeSpec(create(SessionSpecSchema, { task: "x" }));
  const resumed = claudeArguments(spec, { conversationId, earlier: "resumed" }, { modelPort: 1 });
  expect(valueOf(resumed, "--resume")).toBe(conversationId);
  expect(resumed).not.toContain("--session-id");
  const lost = claudeArguments(spec, { conversationId, earlier: "lost" }, { modelPort: 1 });
  expect(valueOf(lost, "--session-id")).toBe(conversationId);
  expect(lost).not.toContain("--resume");
});

test("asks somebody only where somebody may be asked", () => {
  const decisionTimeout = durationFromMs(1000);
  const asking = argumentsFor({ decisionTimeout });
  expect(valueOf(asking, "--permission-prompt-tool")).toBe("stdio");
  expect(valueOf(asking, "--disallowed-tools")).toBe("EnterPlanMode");
  const planning = argumentsFor({ decisionTimeout, permissionMode: "plan" });
  expect(planning).toContain("--permission-prompt-tool");
  expect(planning).not.toContain("--disallowed-tools");
  for (const spec of [{ decisionTimeout: durationFromMs(0) }, { decisionTimeout, permissionMode: "dontAsk" }]) {
    expect(argumentsFor(spec)).not.toContain("--permission-prompt-tool");
  }
});

test("never shows the task to other processes", () => {
  expect(argumentsFor({}).join(" ")).not.toContain("secret plan");
});
