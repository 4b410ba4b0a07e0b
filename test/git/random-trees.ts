import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";

/** Files by path, path and content in latin1: as git stores them, not as they lie in a work tree. */
export type Files = Map<string, { mode: "100644" | "100755" | "120000"; content: string }>;

const NAMES = [
  "a.ts",
  "b.ts",
  "plain.txt",
  "dos.txt",
  "-rf",
  "new\nline",
  "tab\there",
  "sp ace",
  'quo"te',
  "back\\slash",
  "\xc3\xbcn\xc3\xaf.txt",
  "\xff\xfe",
  "diff --git a b",
  "data.bin",
  "#hash",
  "!bang",
  "*star",
  "[br]",
  ":(top)",
  "\x01\x7f",
  ".hidden",
  "run.sh",
];
const DIRECTORIES = ["", "", "lib/", "lib/deep/", "sp ice/", "\xe4/", "-x/", "lib2/"];

/** Returns random files, with attributes and things that are ignored. */
export function randomFiles(random: () => number): Files {
  const files: Files = new Map();
  for (let count = 5 + Math.floor(random() * 20); count > 0; count--) {
    const path = freshPath(files, random);
    if (path !== undefined) files.set(path, randomFile(path, random));
  }
  files.set(".gitignore", { mode: "100644", content: "*.ignored\n/out/\n" });
  files.set(".gitattributes", { mode: "100644", content: "*.txt text eol=crlf\n*.bin binary\n" });
  return files;
}

/** Changes some files in random ways: only those, and only new ones, that `may` lets. */
export function changeFiles(files: Files, random: () => number, may: (path: string) => boolean = () => true): Files {
  const changed: Files = new Map(files);
  const pick = (): string | undefined => {
    const list = [...changed.keys()].filter((path) => may(path) && !path.startsWith(".git"));
    return list[Math.floor(random() * list.length)];
  };
  for (let count = 1 + Math.floor(random() * 6); count > 0; count--) {
    const path = pick();
    const file = path === undefined ? undefined : changed.get(path);
    const kind = Math.floor(random() * 8);
    if (path === undefined || file === undefined || kind < 2) {
      const fresh = freshPath(changed, random);
      if (fresh !== undefined && may(fresh)) changed.set(fresh, randomFile(fresh, random));
    } else if (kind === 2) changed.delete(path);
    else if (kind === 3) {
      const fresh = freshPath(changed, random);
      if (fresh === undefined || !may(fresh)) continue;
      changed.delete(path);
      changed.set(fresh, { ...file, content: file.content });
    } else if (kind === 4) changed.set(path, { ...file, ...(file.mode !== "120000" && { mode: flip(file.mode) }) });
    else if (kind === 5) {
      // A directory takes a file's place.
      const inside = `${path}/inside`;
      if (!may(inside)) continue;
      changed.delete(path);
      changed.set(inside, randomFile(inside, random));
    } else if (kind === 6) changed.set(path, { mode: "120000", content: "plain.txt" });
    else changed.set(path, changeLine(path, file, random));
  }
  return changed;
}

function flip(mode: "100644" | "100755"): "100644" | "100755" {
  return mode === "100644" ? "100755" : "100644";
}

function changeLine(path: string, file: { mode: string; content: string }, random: () => number) {
  if (file.mode === "120000") return randomFile(path, random);
  const lines = file.content.split("\n");
  lines[Math.floor(random() * lines.length)] = `changed ${random()}`;
  return { mode: file.mode as "100644", content: lines.join("\n") };
}

function randomFile(path: string, random: () => number): { mode: "100644" | "100755" | "120000"; content: string } {
  if (random() < 0.1) return { mode: "120000", content: random() < 0.5 ? "nowhere" : "../../etc/passwd" };
  const mode = random() < 0.2 ? "100755" : "100644";
  const kind = random();
  if (kind < 0.1) return { mode, content: "" };
  if (kind < 0.3 && !path.endsWith(".txt")) {
    const bytes = Array.from({ length: 300 }, () => String.fromCharCode(Math.floor(random() * 256)));
    return { mode, content: `\0${bytes.join("")}` };
  }
  const lines = Array.from({ length: 1 + Math.floor(random() * 30) }, (_, n) => `line ${n} ${random()}`);
  return { mode, content: lines.join("\n") + (random() < 0.8 ? "\n" : "") };
}

/** A path that fits beside the others: no file is a directory of another one. */
function freshPath(files: Files, random: () => number): string | undefined {
  const name = NAMES[Math.floor(random() * NAMES.length)]!;
  const path = `${DIRECTORIES[Math.floor(random() * DIRECTORIES.length)]!}${name}`;
  const clashes = (other: string) => other === path || other.startsWith(`${path}/`) || path.startsWith(`${other}/`);
  return [...files.keys()].some(clashes) ? undefined : path;
}

/** Writes files into a work tree, with the line ends that their attributes ask for. */
export function writeFiles(directory: string, files: Files): void {
  for (const [path, { mode, content }] of files) {
    const at = Buffer.from(`${directory}/${path}`, "latin1");
    mkdirSync(at.subarray(0, at.lastIndexOf("/")), { recursive: true });
    const bytes = Buffer.from(path.endsWith(".txt") ? content.replaceAll("\n", "\r\n") : content, "latin1");
    if (mode === "120000") symlinkSync(Buffer.from(content, "latin1"), at);
    else {
      writeFileSync(at, bytes);
      chmodSync(at, mode === "100755" ? 0o755 : 0o644);
    }
  }
}
