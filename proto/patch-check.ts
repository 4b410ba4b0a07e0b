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
const AT = 64;

const FILE_HEADER = "diff --git ";
const HUNK = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/;
const PLAIN_HEADER =
  /^(?:(?:old|new) mode \d{6}|(?:dis)?similarity index \d+%|index [0-9a-f]+\.\.[0-9a-f]+(?: \d{6})?)$/;
const BINARY_BLOCK = /^(?:literal|delta) \d+$/;

/** Changes that a patch is said to make. */
export interface ListedChanges {
  /** First changes in the patch's order. The list may be cut. */
  changes: readonly Pick<FileChange, "path" | "previousPath" | "kind">[];
  /** Number of files that the patch changes. */
  changeCount: number;
}

/** Work that stops where it needs more bytes than have come. */
type Reading<T> = Generator<undefined, T, undefined>;

/**
 * Compares a patch with the list of its changes while its bytes come. The patch must change the listed files, each as
 * listed, and no other. Every line must be understood, since git apply finds further files in what it does not
 * understand.
 *
 * Returns the first mismatch as a clause. Undefined: there is none. Memory stays small for a patch of any size, and
 * other work goes on meanwhile.
 */
export async function findPatchMismatch(
  patch: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  listed: ListedChanges,
): Promise<string | undefined> {
  const reader = new LineReader();
  const reading = readPatch(reader, listed);
  let step = reading.next();
  let strideBytes = 0;
  for await (const bytes of patch) {
    if (step.done === true) return step.value;
    reader.feed(bytes);
    step = reading.next();
    strideBytes += bytes.length;
    if (strideBytes < STRIDE_BYTES) continue;
    strideBytes = 0;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  reader.end();
  while (step.done !== true) step = reading.next();
  return step.value;
}

/** Reads a whole patch. Returns what is wrong. */
function* readPatch(reader: LineReader, { changes, changeCount }: ListedChanges): Reading<string | undefined> {
  let count = 0;
  while ((yield* reader.peekByte()) !== undefined) {
    const header = yield* reader.text();
    const change = changes[count];
    const first = yield* readSection(reader, header, change);
    if (typeof first === "string") return `file ${count + 1} of the patch: ${first}`;
    // A file whose type has changed is deleted and made again.
    const again = first.kind === "deleted" && change?.kind !== FileChange_Kind.DELETED;
    if (again && (yield* reader.peek()) === header) {
      const second = yield* readSection(reader, yield* reader.text(), change);
      if (typeof second === "string" || second.kind !== "added") return `file ${count + 1} of the patch comes twice`;
    } else if (change !== undefined && !isKind(first.kind, change.kind)) {
      return `file ${count + 1} of the patch is ${first.kind}, which the list does not say`;
    }
    count += 1;
  }
  return count === changeCount ? undefined : `the patch has ${count} files, its list ${changeCount}`;
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
function* readSection(
  reader: LineReader,
  header: string | undefined,
  change: ListedChanges["changes"][number] | undefined,
): Reading<{ kind: SectionKind } | string> {
  if (header?.startsWith(FILE_HEADER) !== true) return "it does not begin as one";
  const from = change === undefined || change.previousPath === "" ? change?.path : change.previousPath;
  const to = change?.path;
  if (from !== undefined && to !== undefined && !fileHeaders(from, to).includes(header)) return "it has another name";
  let kind: SectionKind = "changed";
  for (let line = yield* reader.peek(); ; line = yield* reader.peek()) {
    if (line === undefined || line.startsWith(FILE_HEADER)) return { kind };
    yield* reader.skip();
    if (/^new file mode \d{6}$/.test(line)) kind = "added";
    else if (/^deleted file mode \d{6}$/.test(line)) kind = "deleted";
    else if (line.startsWith("rename from ") || line.startsWith("rename to ")) {
      kind = "renamed";
      const known = from === undefined || line === `rename from ${from}` || line === `rename to ${to}`;
      if (!known) return "it is renamed from or to another name";
    } else if (line.startsWith("--- ")) {
      const names = [line.slice(4), (yield* reader.text())?.slice(4)];
      const old = kind === "added" ? ["/dev/null"] : textNames("a", from);
      const made = kind === "deleted" ? ["/dev/null"] : textNames("b", to);
      if (!fits(names[0], old) || !fits(names[1], made)) return "the names over its lines are others";
      return (yield* readHunks(reader)) ?? { kind };
    } else if (line === "GIT binary patch") {
      return (yield* readBinary(reader)) ?? { kind };
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
function* readHunks(reader: LineReader): Reading<string | undefined> {
  for (let count = 0; ; count++) {
    const next = yield* reader.peekByte();
    if (next !== AT) return count > 0 ? undefined : "it has no lines";
    const match = HUNK.exec((yield* reader.text()) ?? "");
    if (match === null) return "it has a hunk that is none";
    let old = Number(match[1] ?? 1);
    let made = Number(match[2] ?? 1);
    for (;;) {
      const mark = reader.nextByte ?? (yield* reader.peekByte());
      if (old <= 0 && made <= 0 && mark !== BACKSLASH) break;
      if (!reader.skipNow() && !(yield* reader.skip())) return "it ends in the middle of a hunk";
      if (mark === SPACE || mark === MINUS) old -= 1;
      if (mark === SPACE || mark === PLUS) made -= 1;
      if (mark !== SPACE && mark !== MINUS && mark !== PLUS && mark !== BACKSLASH)
        return "it has a line without a mark";
    }
    if (old < 0 || made < 0) return "it has a hunk of another length";
  }
}

/** Reads both directions of a binary change. Returns what is wrong. */
function* readBinary(reader: LineReader): Reading<string | undefined> {
  for (let block = 0; block < 2; block++) {
    if (!BINARY_BLOCK.test((yield* reader.text()) ?? "")) return "its binary content is none";
    for (;;) {
      const empty = (reader.nextByte ?? (yield* reader.peekByte())) === LINE_FEED;
      if (!reader.skipNow() && !(yield* reader.skip())) return "it ends in the middle of binary content";
      if (empty) break;
    }
  }
  return undefined;
}

/** Lines of bytes that come piece by piece. Holds one piece, and of the one before what a header may need. */
class LineReader {
  #bytes: Uint8Array = new Uint8Array();
  /** Where the next line begins. */
  #at = 0;
  #ended = false;

  /** Takes the next bytes. */
  feed(bytes: Uint8Array): void {
    const rest = this.#bytes.subarray(this.#at);
    this.#at = 0;
    this.#bytes = bytes;
    if (rest.length === 0) return;
    this.#bytes = new Uint8Array(rest.length + bytes.length);
    this.#bytes.set(rest);
    this.#bytes.set(bytes, rest.length);
  }

  /** No more bytes come. */
  end(): void {
    this.#ended = true;
  }

  /** The next line's first byte, where it has come. */
  get nextByte(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next line's first byte. */
  *peekByte(): Reading<number | undefined> {
    while (this.#at >= this.#bytes.length && !this.#ended) yield;
    return this.nextByte;
  }

  /** The next line, where it can be a header; it stays the next one. */
  *peek(): Reading<string | undefined> {
    for (;;) {
      const end = this.#bytes.indexOf(LINE_FEED, this.#at);
      const length = (end < 0 ? this.#bytes.length : end) - this.#at;
      if (length > MAX_HEADER_BYTES) return undefined;
      if (end >= 0) return this.#textUpTo(end);
      if (this.#ended) return undefined;
      yield;
    }
  }

  #textUpTo(end: number): string {
    let text = "";
    // One character for each byte: paths are in git's quoted form, which is ASCII.
    for (let at = this.#at; at < end; at++) text += String.fromCharCode(this.#bytes[at]!);
    return text;
  }

  /** Takes the next line. */
  *text(): Reading<string | undefined> {
    const line = yield* this.peek();
    if (line !== undefined) yield* this.skip();
    return line;
  }

  /** Passes over the next line where it has come whole. */
  skipNow(): boolean {
    const end = this.#bytes.indexOf(LINE_FEED, this.#at);
    if (end < 0) return false;
    this.#at = end + 1;
    return true;
  }

  /** Passes over the next line, however long it is; false if there is none that ends. */
  *skip(): Reading<boolean> {
    while (!this.skipNow()) {
      this.#at = this.#bytes.length;
      if (this.#ended) return false;
      yield;
    }
    return true;
  }
}
