import { type FileChange, FileChange_Kind } from "./gen/claudecluster/session/v1alpha1/session_result_pb.ts";

/** How much is read before others get their turn (bytes): some milliseconds. */
const STRIDE_BYTES = 1024 * 1024;
/** No path is as long, in quotes on both sides. */
const MAX_HEADER_BYTES = 64 * 1024;

const LINE_FEED = 10;
const SPACE = 32;
const PLUS = 43;
const MINUS = 45;
const BACKSLASH = 92;

const FILE_HEADER = "diff --git ";
const HUNK = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/;
const PLAIN_HEADER =
  /^(?:(?:old|new) mode \d{6}|(?:dis)?similarity index \d+%|index [0-9a-f]+\.\.[0-9a-f]+(?: \d{6})?)$/;
const BINARY_BLOCK = /^(?:literal|delta) \d+$/;

export interface ListedChanges {
  /** In the patch's order: the first ones, where there are more. */
  changes: readonly Pick<FileChange, "path" | "previousPath" | "kind">[];
  /** How many files the patch has. */
  changeCount: number;
}

/**
 * Holds a patch against the list of its changes: it must touch the files of the list, each as the list says, and no other.
 * Every line is accounted for, since git apply looks for further files in whatever it does not understand. Returns what is
 * wrong, or undefined. A large patch does not hold up everything else.
 */
export async function findPatchMismatch(patch: Uint8Array, listed: ListedChanges): Promise<string | undefined> {
  const reader = new LineReader(patch);
  let count = 0;
  let pause = STRIDE_BYTES;
  while (!reader.done) {
    const header = reader.text();
    const change = listed.changes[count];
    const first = readSection(reader, header, change);
    if (typeof first === "string") return `file ${count + 1} of the patch: ${first}`;
    // A file whose type has changed is deleted and made again.
    if (first.kind === "deleted" && change?.kind !== FileChange_Kind.DELETED && reader.peek() === header) {
      const second = readSection(reader, reader.text(), change);
      if (typeof second === "string" || second.kind !== "added") return `file ${count + 1} of the patch comes twice`;
    } else if (change !== undefined && !isKind(first.kind, change.kind)) {
      return `file ${count + 1} of the patch is ${first.kind}, which the list does not say`;
    }
    count += 1;
    if (reader.at < pause) continue;
    pause = reader.at + STRIDE_BYTES;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return count === listed.changeCount ? undefined : `the patch has ${count} files, its list ${listed.changeCount}`;
}

type SectionKind = "added" | "deleted" | "renamed" | "changed";

function isKind(kind: SectionKind, listed: FileChange_Kind): boolean {
  switch (listed) {
    case FileChange_Kind.ADDED:
      return kind === "added";
    case FileChange_Kind.DELETED:
      return kind === "deleted";
    case FileChange_Kind.RENAMED:
      return kind === "renamed";
    default:
      return kind === "changed";
  }
}

/** Reads one file's part, its first line read already. Without a change any names will do. */
function readSection(
  reader: LineReader,
  header: string | undefined,
  change: ListedChanges["changes"][number] | undefined,
): { kind: SectionKind } | string {
  if (header?.startsWith(FILE_HEADER) !== true) return "it does not begin as one";
  const from = change === undefined || change.previousPath === "" ? change?.path : change.previousPath;
  const to = change?.path;
  if (from !== undefined && to !== undefined && !fileHeaders(from, to).includes(header)) return "it has another name";
  let kind: SectionKind = "changed";
  for (let line = reader.peek(); ; line = reader.peek()) {
    if (line === undefined || line.startsWith(FILE_HEADER)) return { kind };
    reader.text();
    if (/^new file mode \d{6}$/.test(line)) kind = "added";
    else if (/^deleted file mode \d{6}$/.test(line)) kind = "deleted";
    else if (line.startsWith("rename from ") || line.startsWith("rename to ")) {
      kind = "renamed";
      const known = from === undefined || line === `rename from ${from}` || line === `rename to ${to}`;
      if (!known) return "it is renamed from or to another name";
    } else if (line.startsWith("--- ")) {
      const names = [line.slice(4), reader.text()?.slice(4)];
      const old = kind === "added" ? ["/dev/null"] : textNames("a", from);
      const made = kind === "deleted" ? ["/dev/null"] : textNames("b", to);
      if (!fits(names[0], old) || !fits(names[1], made)) return "the names over its lines are others";
      return readHunks(reader) ?? { kind };
    } else if (line === "GIT binary patch") {
      return readBinary(reader) ?? { kind };
    } else if (!PLAIN_HEADER.test(line)) {
      return "it has a line that belongs to no patch";
    }
  }
}

function fits(name: string | undefined, expected: readonly string[] | undefined): boolean {
  return name !== undefined && (expected === undefined || expected.includes(name));
}

/** With forced quotes, too: see quoteHeaders of the agent. */
function fileHeaders(from: string, to: string): string[] {
  return [
    `${FILE_HEADER}${prefixed("a", from)} ${prefixed("b", to)}`,
    `${FILE_HEADER}${forced("a", from)} ${forced("b", to)}`,
  ];
}

/** git marks the end of a name with spaces by a tab. */
function textNames(prefix: string, path: string | undefined): string[] | undefined {
  return path === undefined ? undefined : [prefixed(prefix, path), `${prefixed(prefix, path)}\t`];
}

function prefixed(prefix: string, path: string): string {
  return path.startsWith('"') ? `"${prefix}/${path.slice(1)}` : `${prefix}/${path}`;
}

function forced(prefix: string, path: string): string {
  return path.startsWith('"') ? prefixed(prefix, path) : `"${prefix}/${path}"`;
}

/** Reads all hunks of a file, line for line. Returns what is wrong. */
function readHunks(reader: LineReader): string | undefined {
  for (let count = 0; ; count++) {
    const next = reader.peekByte();
    if (next !== 64) return count > 0 ? undefined : "it has no lines";
    const match = HUNK.exec(reader.text() ?? "");
    if (match === null) return "it has a hunk that is none";
    let old = Number(match[1] ?? 1);
    let made = Number(match[2] ?? 1);
    while (old > 0 || made > 0 || reader.peekByte() === BACKSLASH) {
      const mark = reader.peekByte();
      if (!reader.skip()) return "it ends in the middle of a hunk";
      if (mark === SPACE || mark === MINUS) old -= 1;
      if (mark === SPACE || mark === PLUS) made -= 1;
      if (mark !== SPACE && mark !== MINUS && mark !== PLUS && mark !== BACKSLASH)
        return "it has a line without a mark";
    }
    if (old < 0 || made < 0) return "it has a hunk of another length";
  }
}

/** Reads both directions of a binary change. Returns what is wrong. */
function readBinary(reader: LineReader): string | undefined {
  for (let block = 0; block < 2; block++) {
    if (!BINARY_BLOCK.test(reader.text() ?? "")) return "its binary content is none";
    for (;;) {
      const empty = reader.peekByte() === LINE_FEED;
      if (!reader.skip()) return "it ends in the middle of binary content";
      if (empty) break;
    }
  }
  return undefined;
}

class LineReader {
  /** Where the next line begins. */
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.at >= this.#bytes.length;
  }

  /** The next line's first byte. */
  peekByte(): number | undefined {
    return this.#bytes[this.at];
  }

  /** The next line, where it can be a header; it stays the next one. */
  peek(): string | undefined {
    const end = this.#bytes.indexOf(LINE_FEED, this.at);
    if (end < 0 || end - this.at > MAX_HEADER_BYTES) return undefined;
    let text = "";
    // One character for each byte: paths are in git's quoted form, which is ASCII.
    for (let at = this.at; at < end; at++) text += String.fromCharCode(this.#bytes[at]!);
    return text;
  }

  /** Takes the next line. */
  text(): string | undefined {
    const line = this.peek();
    if (line !== undefined) this.skip();
    return line;
  }

  /** Passes over the next line; false if there is none that ends. */
  skip(): boolean {
    const end = this.#bytes.indexOf(LINE_FEED, this.at);
    if (end < 0) return false;
    this.at = end + 1;
    return true;
  }
}
