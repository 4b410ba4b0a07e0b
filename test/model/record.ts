import { mkdir, writeFile } from "node:fs/promises";
import { startClaude, type Claude, type Line } from "./claude-cli.ts";
import { scrub } from "./scrub.ts";
import { startScriptedModel } from "./scripted-model.ts";

/** How to get one recording: what Claude Code is started with, and what is done until its output is complete. */
interface Recording {
  readonly task: string;
  readonly arguments?: readonly string[];
  readonly key?: string;
  readonly drive?: (claude: Claude) => Promise<void>;
}

const STDIO = ["--permission-prompt-tool", "stdio"];

function bash(command: string): string {
  return `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command, description: "Run a command" } }])}]`;
}

const RECORDINGS: Readonly<Record<string, Recording>> = {
  "multi-file-change": { task: "[scenario: multi-file-change]" },
  "failing-command": { task: "[scenario: failing-command]" },
  "background-task": { task: "[scenario: background-task seconds=1]" },
  subagent: {
    task: '[scenario: call-tools [{"name":"Agent","input":{"description":"Write a file","subagent_type":"general-purpose","prompt":"[scenario: write-files count=1]"}}]]',
  },
  "huge-edit": { task: "[scenario: huge-edit bytes=3000 line=32000]" },
  // No path in a tool's input: it would be cut into pieces that cannot be scrubbed.
  "partial-messages": { task: bash("echo one && echo two"), arguments: ["--include-partial-messages"] },
  "max-turns": { task: "[scenario: multi-file-change]", arguments: ["--max-turns", "2"] },
  "api-error-400": { task: "[scenario: api-error status=400]" },
  "api-error-401": { task: "hello", key: "wrong", drive: killAfter(({ attempt }) => attempt === 3) },
  "api-error-429": { task: "[scenario: api-error status=429 retry-after=1 times=1]" },
  "cut-off": { task: "[scenario: api-error status=drop events=5 times=1]" },
  "stop-reason-max-tokens": { task: "[scenario: stop-reason]" },
  "stop-reason-max-tokens-always": { task: "[scenario: stop-reason times=9]" },
  "stop-reason-refusal": { task: "[scenario: stop-reason reason=refusal]" },
  "stop-reason-refusal-always": { task: "[scenario: stop-reason reason=refusal times=9]" },
  "quiet-end": { task: "[scenario: quiet-end]" },
  "no-answer": { task: '[scenario: quiet-end text=""]' },
  "two-blocks": { task: "[scenario: two-blocks]" },
  // Long enough for a sign of life of the tool.
  "long-command": { task: bash("timeout 32 tail -f /dev/null; true") },
  "silent-exit": { task: "[scenario: silent-exit]", drive: (claude) => claude.exited.then(() => undefined) },
  "interrupted-text": {
    task: "[scenario: slow-stream seconds=20 interval-ms=100]",
    drive: async (claude) => {
      await claude.line(({ subtype }) => subtype === "init");
      await new Promise((resolve) => setTimeout(resolve, 2000));
      await interruptAndGoOn(claude);
    },
  },
  "interrupted-tool": {
    task: "[scenario: long-run seconds=4 steps=1]",
    drive: async (claude) => {
      await claude.line((line) => JSON.stringify(line).includes('"tool_use"'));
      await new Promise((resolve) => setTimeout(resolve, 500));
      await interruptAndGoOn(claude);
    },
  },
  "sent-meanwhile": {
    task: "[scenario: long-run seconds=3 steps=2]",
    drive: async (claude) => {
      await claude.line((line) => JSON.stringify(line).includes('"tool_use"'));
      claude.send("[scenario: write-files count=1 prefix=meanwhile]");
      await claude.result();
    },
  },
  "permission-request": {
    task: bash("touch made.txt"),
    arguments: [...STDIO, "--permission-mode", "default"],
    drive: answerFirst((input) => ({ behavior: "allow", updatedInput: input })),
  },
  "permission-denied": {
    task: bash("touch made.txt"),
    arguments: [...STDIO, "--permission-mode", "default"],
    drive: answerFirst(() => ({ behavior: "deny", message: "Not in this directory." })),
  },
  question: {
    task: '[scenario: ask-question question="Which greeting?"]',
    arguments: STDIO,
    drive: answerFirst((input) => ({
      behavior: "allow",
      updatedInput: { ...input, answers: { "Which greeting?": "Bonjour" } },
    })),
  },
};

function killAfter(matches: (line: Line) => boolean): (claude: Claude) => Promise<void> {
  return async (claude) => {
    await claude.line(matches);
    process.kill(claude.pid, "SIGKILL");
    await claude.exited;
  };
}

function answerFirst(response: (input: Line) => Line): (claude: Claude) => Promise<void> {
  return async (claude) => {
    const asked = await claude.line(({ type }) => type === "control_request");
    const { input } = asked["request"] as { input: Line };
    claude.respond(asked["request_id"], response(input));
    await claude.result();
  };
}

async function interruptAndGoOn(claude: Claude): Promise<void> {
  claude.interrupt();
  await claude.result(1);
  claude.send("[scenario: write-files count=1]");
  await claude.result(2);
}

async function record({ task, arguments: words = [], key, drive }: Recording): Promise<string> {
  await using model = await startScriptedModel({ key: "right" });
  await using claude = await startClaude({ url: model.url, arguments: words, key: key ?? "right" });
  claude.send(task);
  await (drive ?? (async () => void (await claude.result())))(claude);
  claude.end();
  await claude.exited;
  return scrub(claude.raw.map((line) => `${line}\n`).join(""), claude);
}

/** Writes recordings/<name>.jsonl, all of them or those named: `node test/model/record.ts [name…]`. */
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(RECORDINGS);
const directory = new URL("recordings/", import.meta.url);
await mkdir(directory, { recursive: true });
for (const name of names) {
  const recording = RECORDINGS[name];
  if (recording === undefined)
    throw new Error(`There is no recording "${name}". There are: ${Object.keys(RECORDINGS).join(", ")}.`);
  const text = await record(recording);
  await writeFile(new URL(`${name}.jsonl`, directory), text);
  process.stderr.write(`${name}: ${text.length} characters\n`);
}
