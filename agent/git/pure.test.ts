import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Progress, progressReader } from "./clone-progress.ts";
import { runGit } from "../../test/git/work-area.ts";
import { joinPaths, quotePath, splitPaths } from "../../proto/index.ts";
import { readHttpAnswer, speaksGit, spokenLine } from "./http-trace.ts";
import { inotifyReader } from "./inotify-events.ts";
import { parseDiff, sectionCount, splitPatch } from "./raw-diff.ts";
import { together } from "./together.ts";
import { TouchedPaths } from "./touched-paths.ts";
import { TurnTaking } from "./turn-taking.ts";

// What git 2.39.5 wrote for a missing repository, and for one behind a proxy that refuses.
const NOT_FOUND = `20:11:14.104519 http.c:756               == Info: Connected to 127.0.0.1 (127.0.0.1) port 37407 (#0)
20:11:14.104560 http.c:703               => Send header, 0000000221 bytes (0x000000dd)
20:11:14.104567 http.c:715               => Send header: GET /none/info/refs?service=git-upload-pack HTTP/1.1
20:11:14.104571 http.c:715               => Send header: Host: 127.0.0.1:37407
20:11:14.110237 http.c:703               <= Recv header, 0000000024 bytes (0x00000018)
20:11:14.110252 http.c:715               <= Recv header: HTTP/1.1 404 Not Found
20:11:14.110263 http.c:715               <= Recv header: Date: Sun, 22 Nov 2026 20:11:14 GMT
fatal: repository 'http://127.0.0.1:37407/none/' not found
`;
const REFUSED = `20:11:15.200000 http.c:715               => Send header: CONNECT github.com:443 HTTP/1.1
20:11:15.210000 http.c:715               <= Recv header: HTTP/1.1 403 Forbidden
fatal: unable to access 'https://github.com/a/b/': CONNECT tunnel failed, response 403
`;
const REDIRECTED = `20:11:15.200000 http.c:715               => Send header: CONNECT github.com:443 HTTP/1.1
20:11:15.210000 http.c:715               <= Recv header: HTTP/1.1 200 Connection established
20:11:15.220000 http.c:715               => Send header: GET /a/b/info/refs?service=git-upload-pack HTTP/2
20:11:15.230000 http.c:715               <= Recv header: HTTP/2 301
20:11:15.240000 http.c:715               => Send header: GET /c/d/info/refs?service=git-upload-pack HTTP/2
20:11:15.250000 http.c:715               <= Recv header: HTTP/2 200
20:11:15.250001 http.c:715               <= Recv header: content-type: application/x-git-upload-pack-advertisement
`;

test("reads the server's last answer out of git's trace", () => {
  expect(readHttpAnswer(NOT_FOUND)).toEqual({ status: 404, fromProxy: false });
  expect(readHttpAnswer(REFUSED)).toEqual({ status: 403, fromProxy: true });
  expect(readHttpAnswer(REDIRECTED)).toEqual({ status: 200, fromProxy: false });
  expect(readHttpAnswer("fatal: unable to access: Could not resolve host")).toBe(undefined);
  expect([NOT_FOUND, REFUSED, REDIRECTED].map(speaksGit)).toEqual([false, false, true]);
});

test("tells what was said without the trace and without the URL that git was led to", () => {
  expect(spokenLine(NOT_FOUND)).toBe("fatal: repository 'http://127.0.0.1:37407/none/' not found");
  expect(spokenLine(REFUSED)).toBe("CONNECT tunnel failed, response 403");
  const relayed =
    "fatal: unable to access 'http://127.0.0.1:9418/https/a.test/b/': The requested URL returned error: 502\n";
  expect(spokenLine(relayed)).toBe("The requested URL returned error: 502");
  const said = "remote: ClaudeCluster: a.test was not reached (ENOTFOUND).        \n";
  expect(spokenLine(said + relayed)).toBe("ClaudeCluster: a.test was not reached (ENOTFOUND)");
});

test("quotes paths as git does", () => {
  const directory = mkdtempSync("/tmp/cc-quote-");
  runGit(directory, "init", "-q");
  const names = [
    "plain",
    "sp ace",
    "tab\t",
    "new\nline",
    'quo"te',
    "back\\slash",
    "\x01\x07\b\v\f\r\x1b\x7f",
    "-dash",
    "'",
    "#~*?[]{}()",
  ].map((name) => Buffer.from(name));
  names.push(Buffer.from("ünï€"), Buffer.from([0xff, 0x80, 0xfe]));
  for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), name]), "");
  runGit(directory, "add", "-A");
  const quoted = execFileSync("git", ["ls-files"], { cwd: directory, encoding: "utf8" }).trimEnd().split("\n");
  const raw = splitPaths(execFileSync("git", ["ls-files", "-z"], { cwd: directory }));
  rmSync(directory, { recursive: true });
  expect(raw.map(quotePath)).toEqual(quoted);
  expect(raw).toHaveLength(names.length);
  expect(splitPaths(joinPaths(raw))).toEqual(raw);
});

test("takes a diff apart", () => {
  const id = "1".repeat(40);
  const raw = `:100644 100755 ${id} ${id} M\0a\0:100644 100644 ${id} ${id} R100\0old\nname\0new\tname\0:100644 120000 ${id} ${id} T\0c\0`;
  const patch = "diff --git a/a b/a\n+diff --git a/x b/x\ndiff --git a/b b/b\n";
  const parsed = parseDiff(Buffer.from(`${raw}1\t2\ta\x000\t0\t\0old\nname\0new\tname\0-\t-\tc\0\0${patch}`));
  expect(parsed.entries.map(({ path, oldPath }) => [oldPath, path])).toEqual([
    ["a", "a"],
    ["old\nname", "new\tname"],
    ["c", "c"],
  ]);
  expect(parsed.entries.map(sectionCount)).toEqual([1, 1, 2]);
  expect(parsed.counts).toEqual([{ added: 1, deleted: 2 }, { added: 0, deleted: 0 }, undefined]);
  expect(splitPatch(parsed.patch).map(String)).toEqual([
    "diff --git a/a b/a\n+diff --git a/x b/x\n",
    "diff --git a/b b/b\n",
  ]);
  expect(parseDiff(Buffer.alloc(0))).toEqual({ entries: [], counts: [], patch: Buffer.alloc(0) });
  expect(() => parseDiff(Buffer.from(":100644"))).toThrow();
});

test("reads from inotifywait which files were touched, and when it cannot be said", () => {
  const seen: (string | undefined)[] = [];
  const read = inotifyReader("/w", (event) => seen.push(event && `${event.more ? "around " : ""}${event.path}`));
  const text =
    "CREATE /w/a\0MOVED_TO /w/d/b c\nd\0CREATE,ISDIR /w/q\0ATTRIB,ISDIR /w/q/\0MODIFY /w/.gitignore\0MODIFY /elsewhere/x\0Q_OVERFLOW \0MODIFY /w/x.git/y\0";
  for (const byte of Buffer.from(text)) read(Buffer.of(byte));
  const around = ["around q", "around q", "around .gitignore"];
  expect(seen).toEqual(["a", "d/b c\nd", ...around, undefined, undefined, "x.git/y"]);
  read(Buffer.alloc(10_000, "x"));
  expect(seen).toHaveLength(9);
});

test("keeps a few touched files, and says when they are not all", () => {
  const touched = new TouchedPaths();
  const few = { all: false, many: false, otherwiseIgnored: false };
  expect(touched.take()).toEqual({ ...few, paths: [], all: true });
  touched.add("a");
  touched.add("a");
  touched.add("b");
  expect(touched.take()).toEqual({ ...few, paths: ["a", "b"] });
  expect(touched.take()).toEqual({ ...few, paths: [] });
  touched.add("a");
  touched.add("\xff");
  expect(touched.take()).toEqual({ ...few, paths: ["a"], all: true });
  for (let n = 0; n <= 64; n++) touched.add(String(n));
  expect(touched.take()).toMatchObject({ paths: { length: 64 }, all: true, many: true });
  touched.add("c");
  expect(touched.take()).toEqual({ ...few, paths: ["c"] });
});

test("does not count what lies in ignored directories, until one of them or what is ignored changes", () => {
  const touched = new TouchedPaths();
  touched.take();
  touched.ignored = new Set(["a/b"]);
  expect([touched.add("a/b/c"), touched.addAround("a/b/c/d"), touched.add("a/bc")]).toEqual([false, false, true]);
  expect(touched.take()).toEqual({ paths: ["a/bc"], all: false, many: false, otherwiseIgnored: false });
  for (const path of ["a/b", "a/.gitignore"]) {
    touched.ignored = new Set(["a/b"]);
    expect(touched.addAround(path)).toBe(true);
    expect(touched.add("a/b/c")).toBe(true);
    expect(touched.take()).toEqual({ paths: ["a/b/c"], all: true, many: false, otherwiseIgnored: true });
  }
});

test("reports progress in steps, from any pieces", () => {
  const seen: Progress[] = [];
  const read = progressReader((progress) => seen.push(progress));
  const text =
    "remote: Enumerating objects: 5, done.\nremote: Counting objects:  20% (1/5)\rremote: Counting objects: 100% (5/5), done.\nReceiving objects:   1% (1/99)\rReceiving objects:   2% (2/99)\rReceiving objects: 100% (99/99), 1.2 MiB | 3 MiB/s, done.\nwarning: 50% of nothing\n";
  for (const char of text) read(char);
  expect(seen).toEqual([
    { stage: "Counting objects", percent: 20 },
    { stage: "Counting objects", percent: 100 },
    { stage: "Receiving objects", percent: 1 },
    { stage: "Receiving objects", percent: 100 },
  ]);
});

test("lets turns follow each other, whatever came of the one before", async () => {
  const turns = new TurnTaking();
  const order: string[] = [];
  const signal = new AbortController().signal;
  const controller = new AbortController();
  const failing = turns.run(signal, async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    order.push("first");
    throw new Error("failed");
  });
  const aborted = turns.run(controller.signal, async () => void order.push("never"));
  const last = turns.run(signal, async () => void order.push("last"));
  controller.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
  expect(order).toEqual([]);
  await expect(failing).rejects.toThrow("failed");
  await last;
  expect(order).toEqual(["first", "last"]);
});

test("aborts the others when one of several fails, and waits for them", async () => {
  let ended = 0;
  const other = (signal: AbortSignal): Promise<void> =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () =>
        setTimeout(() => {
          ended++;
          reject(signal.reason as Error);
        }, 10),
      );
    });
  const failing = async (): Promise<never> => {
    throw new Error("first");
  };
  await expect(
    together(new AbortController().signal, (signal) => [other(signal), failing(), other(signal)]),
  ).rejects.toThrow("first");
  expect(ended).toBe(2);
  expect(await together(new AbortController().signal, () => [Promise.resolve(1), Promise.resolve("a")])).toEqual([
    1,
    "a",
  ]);
});
