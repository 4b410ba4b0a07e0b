import { quotePath, rawPathOf, unquotePath } from "../../../proto/index.ts";

/** Hunk of a file: which lines of the old and the new file it holds. */
export interface Hunk {
  oldStart: number;
  newStart: number;
  /** What git says of its place, such as the function that it is in. */
  heading: string;
  /** Its lines in the file's `lines`: the first one, and the one after the last. */
  from: number;
  to: number;
}

/** File of a patch. */
export interface PatchedFile {
  /** As git quotes it, so as in FileChange. */
  path: string;
  /** The path that it had before. Empty: the same. */
  previousPath: string;
  kind: "added" | "modified" | "deleted" | "renamed" | "copied";
  /** Modes, such as 100644. Empty: not told. */
  oldMode: string;
  newMode: string;
  binary: boolean;
  /** Bytes of what is new of a binary file. Undefined: not told. */
  sizeBytes: number | undefined;
  addedLines: number;
  deletedLines: number;
  hunks: Hunk[];
  /** Lines of all hunks, each behind its mark: " ", "+", "-" or "\\". */
  lines: string[];
  /** Whether lines were left out, since the patch is too large. They are counted. */
  cut: boolean;
}

/** What is said of a file beside its name, by what was done to it. Empty: nothing. */
export const KIND_WORDS: Record<PatchedFile["kind"], string> = {
  added: "new",
  modified: "",
  deleted: "deleted",
  renamed: "renamed",
  copied: "copied",
};

/** Most characters of lines that are kept of one patch. */
const MAX_KEPT_CHARS = 64 * 1024 * 1024;
const HEADER = "diff --git ";
const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/s;

/** Reads a whole patch. */
export function parsePatch(patch: Uint8Array | string): PatchedFile[] {
  const parser = new PatchParser();
  parser.push(typeof patch === "string" ? new TextEncoder().encode(patch) : patch);
  return parser.end();
}

/**
 * Parser of git's patches, whose bytes come piece by piece. Throws nothing: what it does not understand belongs to no file.
 * What is no UTF-8 is replaced.
 */
export class PatchParser {
  /** Files so far. */
  readonly files: PatchedFile[] = [];
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #maxChars: number;
  /** The pieces of a line that has not ended. */
  #rest: string[] = [];
  #chars = 0;
  #file: PatchedFile | undefined;
  #header = "";
  #hunk: Hunk | undefined;
  /** Lines of the old and the new file that are still to come in the hunk. */
  #oldLeft = 0;
  #newLeft = 0;

  constructor({ maxChars = MAX_KEPT_CHARS } = {}) {
    this.#maxChars = maxChars;
  }

  /** Takes the next bytes. */
  push(bytes: Uint8Array): void {
    this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** No more bytes come. Returns all files. */
  end(): PatchedFile[] {
    this.#take(this.#decoder.decode());
    if (this.#rest.length > 0) this.#take("\n");
    return this.files;
  }

  #take(text: string): void {
    let at = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", at)) {
      const piece = text.slice(at, end);
      this.#line(this.#rest.length === 0 ? piece : this.#rest.join("") + piece);
      this.#rest = [];
      at = end + 1;
    }
    if (at < text.length) this.#rest.push(text.slice(at));
  }

  #line(line: string): void {
    if (this.#hunk !== undefined && this.#inHunk(line)) return;
    this.#hunk = undefined;
    if (line.startsWith(HEADER)) return this.#begin(line);
    const file = this.#file;
    if (file === undefined) return;
    const [, oldStart, oldCount, newStart, newCount, heading = ""] = HUNK.exec(line) ?? [];
    if (oldStart === undefined) return readHeader(file, line);
    const at = file.lines.length;
    this.#hunk = { oldStart: Number(oldStart), newStart: Number(newStart), heading, from: at, to: at };
    file.hunks.push(this.#hunk);
    this.#oldLeft = Number(oldCount ?? 1);
    this.#newLeft = Number(newCount ?? 1);
  }

  #begin(line: string): void {
    // A file whose type has changed is deleted and made again.
    if (line === this.#header && this.#file !== undefined) {
      this.#file.kind = "modified";
      return;
    }
    this.#header = line;
    this.#file = {
      path: headerPath(line),
      previousPath: "",
      kind: "modified",
      oldMode: "",
      newMode: "",
      binary: false,
      sizeBytes: undefined,
      addedLines: 0,
      deletedLines: 0,
      hunks: [],
      lines: [],
      cut: false,
    };
    this.files.push(this.#file);
  }

  /** Takes a line of a hunk; false if it is none. */
  #inHunk(line: string): boolean {
    const [file, hunk] = [this.#file!, this.#hunk!];
    const mark = line.charAt(0) || " ";
    if (mark !== "\\" && this.#oldLeft <= 0 && this.#newLeft <= 0) return false;
    if (mark === " " || mark === "-") this.#oldLeft -= 1;
    if (mark === " " || mark === "+") this.#newLeft -= 1;
    if (mark === "+") file.addedLines += 1;
    else if (mark === "-") file.deletedLines += 1;
    else if (mark !== " " && mark !== "\\") return false;
    if (this.#chars + line.length > this.#maxChars) file.cut = true;
    if (file.cut) return true;
    this.#chars += line.length;
    file.lines.push(line || " ");
    hunk.to = file.lines.length;
    return true;
  }
}

/** Takes what a line over the hunks says of the file. */
function readHeader(file: PatchedFile, line: string): void {
  const [, name = "", value = ""] =
    /^((?:old|new|new file|deleted file) mode|(?:rename|copy) (?:from|to)|---|\+\+\+|index|literal|GIT binary patch|Binary files) ?(.*)$/s.exec(
      line,
    ) ?? [];
  switch (name) {
    case "old mode":
    case "deleted file mode":
      file.oldMode = value;
      if (name === "deleted file mode") file.kind = "deleted";
      break;
    case "new mode":
    case "new file mode":
      // Of a file that was deleted and made again only this is left of "new file".
      if (name === "new file mode" && file.oldMode === "") file.kind = "added";
      file.newMode = value;
      break;
    case "rename from":
    case "copy from":
      file.kind = name === "rename from" ? "renamed" : "copied";
      file.previousPath = requoted(value);
      break;
    case "rename to":
    case "copy to":
      file.path = requoted(value);
      break;
    case "+++":
    case "---":
      if (value.trimEnd() !== "/dev/null") file.path = named(value.replace(/\t$/, ""), file, name);
      break;
    case "index": {
      const [, mode] = /^\S+ (\d{6})$/.exec(value) ?? [];
      if (mode !== undefined) [file.oldMode, file.newMode] = [mode, mode];
      break;
    }
    case "literal":
      // The second one is what the file had before.
      if (file.binary && /^\d+$/.test(value)) file.sizeBytes ??= Number(value);
      break;
    case "GIT binary patch":
    case "Binary files":
      file.binary = true;
      break;
  }
}

/** The path over the lines: "a/…" of the old file counts where there is no new one. */
function named(value: string, { kind, path }: PatchedFile, name: "+++" | "---"): string {
  if (name === "---" && kind !== "deleted") return path;
  return withoutPrefix(value);
}

/** The path of a file whose name has not changed: it stands there twice. */
function headerPath(header: string): string {
  const names = header.slice(HEADER.length);
  return withoutPrefix(names.slice((names.length + 1) / 2));
}

function withoutPrefix(path: string): string {
  return requoted(path.startsWith('"') ? `"${path.slice(3)}` : path.slice(2));
}

/** The path as git quotes it, whoever has quoted it. */
function requoted(path: string): string {
  if (!path.startsWith('"')) return path;
  return quotePath(rawPathOf(unquotePath(path)));
}
