import { create } from "@bufbuild/protobuf";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  FileChange_Kind,
  quotePath,
  rawPathOf,
  SessionEventSchema,
  SessionSchema,
  Session_State,
} from "../../proto/index.ts";
import { sessionText } from "../mcp/session-text.ts";
import { locateRepository } from "../repository/locate.ts";
import { AddressSource } from "../source/address-source.ts";
import { readUserFiles } from "../source/user-files.ts";
import { namingLine, readablePatch } from "./patch-names.ts";
import { listPatchFiles, readPatchPage } from "./patch-pages.ts";
import { progressLine } from "./progress-line.ts";
import { sentText } from "./sent-text.ts";
import { summarizeSession } from "./session-summary.ts";

/** Names as they lie on a disk, and as people are to see them. */
const NAMES: readonly (readonly [name: string, shown: string])[] = [
  ["größe.txt", "größe.txt"],
  ["отчёт.md", "отчёт.md"],
  ["資料.txt", "資料.txt"],
  ["naïve notes.txt", "naïve notes.txt"],
  ["esc\u001b[2J", String.raw`"esc\033[2J"`],
  ["line\nend", String.raw`"line\nend"`],
  ["exe.\u202ecod", String.raw`"exe.\342\200\256cod"`],
  ["zero\u200bwidth", String.raw`"zero\342\200\213width"`],
  ["p\u0430ypal.ts", String.raw`"p\320\260ypal.ts"`],
];

/** As git and the agent tell a path. */
const told = (name: string) => quotePath(rawPathOf(name));
const fails = (run: Promise<unknown>) =>
  run.then(
    () => "",
    (error: unknown) => (error as Error).message,
  );

/** A patch of git's own that adds the file. */
function patchOf(name: string): string {
  const root = mkdtempSync(join(tmpdir(), "claudecluster-names-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const git = (...args: string[]) => execFileSync("git", ["-C", root, ...args], { encoding: "utf8" });
  git("init", "-q");
  writeFileSync(join(root, name), "x\n");
  git("add", "-A");
  return git("-c", "core.quotePath=true", "diff", "--cached");
}

/** Every output that names a file of a session's or of the user's. */
const OUTPUTS: Record<string, (name: string) => Promise<string> | string> = {
  "changed files": (name) => summaryOf(name).changes[0]!.path,
  "the answer to a parent": (name) =>
    sessionText(summaryOf(name))
      .split("\n")
      .find((line) => line.includes("added"))!,
  progress: (name) => {
    const value = { changes: [{ path: told(name), kind: FileChange_Kind.ADDED }], changeCount: 1 };
    return progressOf({ case: "filePatched", value: { change: value.changes[0]!, partCount: 1 } });
  },
  "what was sent": (name) =>
    sentText(
      create(SessionSchema, {
        spec: {
          repository: {
            snapshot: { receipt: { directory: "/x", leftOut: [{ reason: "secret", count: 1, paths: [told(name)] }] } },
          },
        },
      }).spec!,
    ),
  "a list of a patch's files": async (name) => (await listPatchFiles(bytesOf(patchOf(name))))[0]!.path,
  "a page of a patch": async (name) => {
    const [file] = await listPatchFiles(bytesOf(patchOf(name)));
    return (await readPatchPage(bytesOf(patchOf(name)), { path: file!.path, page: 1 })).text;
  },
  "a directory that is none": (name) => fails(locateRepository(`/nowhere/${name}`, { signal: never })),
  "a directory elsewhere": (name) => fails(new AddressSource().find({ repository: `/x/${name}`, continues: false })),
  "a file of the user's that is missing": (name) => {
    const directory = mkdtempSync(join(tmpdir(), "claudecluster-own-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    mkdirSync(join(directory, "skills"));
    return fails(readUserFiles([`skills/${name}`], { directory }));
  },
};

const never = new AbortController().signal;

function summaryOf(name: string) {
  const session = create(SessionSchema, {
    id: "ses_1",
    state: Session_State.SUCCEEDED,
    result: { changes: [{ path: told(name), kind: FileChange_Kind.ADDED }], changeCount: 1 },
  });
  const patch = Buffer.from(patchOf(name));
  return summarizeSession(session, { sizeBytes: patch.length, bytes: patch });
}

function progressOf(event: object): string {
  return progressLine(create(SessionEventSchema, { event: event as never })) ?? "";
}

async function* bytesOf(patch: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(patch);
}

test.each(Object.keys(OUTPUTS))("%s: names as they are, and escaped what is not to be shown", async (output) => {
  for (const [name, shown] of NAMES) {
    const text = await OUTPUTS[output]!(name);
    const inner = shown.replace(/^"|"$/g, "");
    expect(text, JSON.stringify(name)).toContain(inner);
    if (inner !== name) expect(text).not.toContain(name);
    else expect(text).not.toMatch(/\\[0-7]{3}/);
  }
});

test.each(NAMES.map(([name]) => name))("a patch as it is shown makes the same file: %j", (name) => {
  const root = mkdtempSync(join(tmpdir(), "claudecluster-names-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const git = (input: string, ...args: string[]) => execFileSync("git", ["-C", root, ...args], { input });
  git("", "init", "-q");
  git(readablePatch(patchOf(name)), "apply");
  expect(execFileSync("ls", ["-A", root], { encoding: "utf8" })).toContain(name);
});

test("lines of a file that look like a patch's are left alone", () => {
  const line = String.raw`--- "a/gr\303\266.txt"`;
  expect(namingLine(line)).toBe("--- a/grö.txt");
  const patch = `diff --git a/x b/x\n@@ -1 +0,0 @@\n${line}\n`;
  expect(readablePatch(patch)).toBe(patch);
});
