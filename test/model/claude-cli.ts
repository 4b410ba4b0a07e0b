import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { SMALL_REPOSITORY, writeRepository } from "./small-repository.ts";

export type Line = Readonly<Record<string, unknown>>;

export interface ClaudeExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ClaudeOptions {
  /** ANTHROPIC_BASE_URL. */
  readonly url: string;
  readonly key?: string;
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: a new repository with README.md, src/greet.js and src/legacy.js. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A real `claude -p` on this machine, with its own repository and home. Disposing it kills it and removes both. */
export interface Claude extends AsyncDisposable {
  readonly pid: number;
  readonly workspace: string;
  /** Directory that holds workspace, home and temporary files. */
  readonly root: string;
  /** Every line of stdout so far, parsed. */
  readonly lines: readonly Line[];
  /** The same lines as they came. */
  readonly raw: readonly string[];
  readonly stderr: () => string;
  readonly exited: Promise<ClaudeExit>;
  send(text: string): void;
  interrupt(): void;
  /** Answers a `control_request` of Claude's. */
  respond(requestId: unknown, response: Line): void;
  /** Ends stdin; Claude finishes what it does and exits. */
  end(): void;
  /** The first line, past or future, for which the predicate holds; rejects when Claude exits before. */
  line(matches: (line: Line) => boolean): Promise<Line>;
  /** The result with this number, from 1. */
  result(number?: number): Promise<Line>;
}

/** Claude Code's program: the pinned one, or that of another version which the tests are to be run with. */
export const CLAUDE =
  process.env["CLAUDE_PROGRAM"] ?? fileURLToPath(new URL("../../node_modules/.bin/claude", import.meta.url));

/** Starts `claude -p` with stream-json both ways, and without any permission prompt. */
export async function startClaude(options: ClaudeOptions): Promise<Claude> {
  const root = await mkdtemp(join(tmpdir(), "scripted-claude-"));
  const workspace = join(root, "repository");
  const home = join(root, "home");
  await mkdir(home);
  await writeRepository(workspace, options.files ?? SMALL_REPOSITORY);
  const child = spawn(
    CLAUDE,
    [
      "-p",
      "--input-format",
      "stream-json",
      "--output-format",
      "stream-json",
      "--verbose",
      "--permission-mode",
      "bypassPermissions",
      ...(options.arguments ?? []),
    ],
    {
      cwd: workspace,
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: home,
        CLAUDE_CODE_TMPDIR: root,
        LANG: "C.UTF-8",
        IS_SANDBOX: "1",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        ANTHROPIC_BASE_URL: options.url,
        ANTHROPIC_API_KEY: options.key ?? "sk-ant-scripted",
        ...options.environment,
      },
    },
  );
  return follow(child, workspace, root);
}

function follow(child: ChildProcessWithoutNullStreams, workspace: string, root: string): Claude {
  const raw: string[] = [];
  const lines: Line[] = [];
  let stderr = "";
  let closed = false;
  const waiting = new Set<() => void>();
  const exited = once(child, "close").then(([code, signal]): ClaudeExit => {
    closed = true;
    for (const check of waiting) check();
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
  // Writing to a Claude that has just died is no fault of the test; its exit says what happened.
  child.stdin.on("error", () => undefined);
  createInterface({ input: child.stdout, crlfDelay: Infinity }).on("line", (text) => {
    raw.push(text);
    lines.push(JSON.parse(text) as Line);
    for (const check of waiting) check();
  });
  const write = (message: Line): void => void child.stdin.write(`${JSON.stringify(message)}\n`);
  const line = async (matches: (line: Line) => boolean): Promise<Line> => {
    let next = 0;
    return new Promise((resolve, reject) => {
      const check = (): void => {
        for (; next < lines.length; next += 1) {
          const candidate = lines[next];
          if (candidate === undefined || !matches(candidate)) continue;
          waiting.delete(check);
          resolve(candidate);
          return;
        }
        if (closed) reject(new Error(`Claude exited before the expected line. stderr: ${stderr}`));
      };
      waiting.add(check);
      check();
    });
  };
  return {
    pid: child.pid ?? -1,
    workspace,
    root,
    lines,
    raw,
    stderr: () => stderr,
    exited,
    send: (content) =>
      write({ type: "user", message: { role: "user", content }, parent_tool_use_id: null, session_id: "" }),
    interrupt: () => write({ type: "control_request", request_id: randomUUID(), request: { subtype: "interrupt" } }),
    respond: (request_id, response) =>
      write({ type: "control_response", response: { subtype: "success", request_id, response } }),
    end: () => child.stdin.end(),
    line,
    result: async (number = 1) => {
      let seen = 0;
      return line(({ type }) => type === "result" && (seen += 1) === number);
    },
    async [Symbol.asyncDispose]() {
      if (!closed) child.kill("SIGKILL");
      await exited;
      await rm(root, { recursive: true, force: true });
    },
  };
}
