import { nearestName } from "../nearest-name.ts";
import { AppError, cutChars } from "../../proto/index.ts";
import { readablePatch } from "./patch-names.ts";
import { pathText } from "./path-text.ts";
import { plainText } from "./plain-text.ts";

/** Most bytes of a page: what Claude Code leaves in a conversation (50,000 characters, 25,000 tokens), whatever the script. */
export const PAGE_BYTES = 36_000;
/** Longest part of a line that is looked at as one. */
const MAX_PIECE_BYTES = 16 * 1024;
/** No file has more lines over its hunks. */
const MAX_HEADER_LINES = 20;
const FILE_HEADER = "diff --git ";

/** One file of a patch. */
export interface PatchFile {
  /** Path as people are shown it. */
  path: string;
  kind: "added" | "modified" | "deleted" | "renamed";
  added_lines: number;
  deleted_lines: number;
  binary?: true;
}

/** Page of one file's diff. */
export interface PatchPage {
  file: PatchFile;
  /** Diff as plain text: of a binary file its header alone. */
  text: string;
  page: number;
  page_count: number;
}

/** Lists the files of a patch, in its order. It is read once, in little memory. */
export async function listPatchFiles(patch: AsyncIterable<Uint8Array>): Promise<PatchFile[]> {
  const files: PatchFile[] = [];
  for await (const { file } of sections(patch)) if (file !== files.at(-1)) files.push(file);
  return files;
}

/**
 * Returns a page of one file's diff, from 1. Throws CHANGE_NOT_FOUND, with the most similar name, for a file that the patch
 * does not have, and LIMIT_INVALID for a page that the file does not have.
 */
export async function readPatchPage(
  patch: AsyncIterable<Uint8Array>,
  { path, page }: { path: string; page: number },
): Promise<PatchPage> {
  const paths: string[] = [];
  let found: PatchFile | undefined;
  let [count, used, text] = [1, 0, ""];
  for await (const { file, piece } of sections(patch)) {
    if (paths.at(-1) !== file.path) paths.push(file.path);
    if (file.path !== path && file.path !== `"${path}"`) continue;
    found = file;
    if (used > 0 && used + piece.length > PAGE_BYTES) [count, used] = [count + 1, 0];
    used += piece.length;
    if (count === page) text += piece;
  }
  if (found === undefined) {
    const nearest = nearestName(path, paths);
    throw new AppError("CHANGE_NOT_FOUND", `The session has not changed ${JSON.stringify(cutChars(path, 256))}.`, {
      help: `${nearest === undefined ? "" : `Did you mean ${JSON.stringify(nearest)}? `}read_changes without path lists the files.`,
    });
  }
  if (page > count) {
    throw new AppError("LIMIT_INVALID", `There is no page ${page}: ${path} has ${count}.`, {
      help: `Give page from 1 to ${count}.`,
    });
  }
  const shown = readablePatch(plainText(Buffer.from(text, "latin1").toString("utf8")));
  return { file: found, text: shown, page, page_count: count };
}

/** The parts of a patch, one character for each byte, each with its file as it is known by then. Binary content is left out. */
async function* sections(patch: AsyncIterable<Uint8Array>): AsyncGenerator<{ file: PatchFile; piece: string }> {
  let file: PatchFile | undefined;
  let header = "";
  let [inHunks, isBinary] = [false, false];
  let held: string[] = [];
  for await (const { piece, starts } of pieces(patch)) {
    if (starts && piece.startsWith(FILE_HEADER)) {
      if (file !== undefined) for (const each of held) yield { file, piece: each };
      // A file whose type has changed is deleted and made again.
      const again = piece === header && file !== undefined;
      if (!again) file = { path: headerPath(piece), kind: "modified", added_lines: 0, deleted_lines: 0 };
      else file!.kind = "modified";
      [header, inHunks, isBinary, held] = [piece, false, false, [piece]];
      continue;
    }
    if (file === undefined || isBinary) continue;
    if (!inHunks) {
      if (starts) readHeader(file, piece);
      inHunks = piece.startsWith("@@ ");
      isBinary = file.binary === true;
      if (held.length < MAX_HEADER_LINES) held.push(piece);
      if (!inHunks) continue;
      for (const each of held) yield { file, piece: each };
      held = [];
      continue;
    }
    if (starts && piece.startsWith("+")) file.added_lines += 1;
    if (starts && piece.startsWith("-")) file.deleted_lines += 1;
    yield { file, piece };
  }
  if (file !== undefined) for (const each of held) yield { file, piece: each };
}

/** Takes what a line over the hunks says of the file. */
function readHeader(file: PatchFile, line: string): void {
  const [, name] = /^(?:rename to |\+\+\+ "?b\/)(.*?)\t?\n?$/.exec(line) ?? [];
  if (name !== undefined) file.path = pathText(line.startsWith('+++ "') ? `"${name}` : name);
  if (line.startsWith("new file ")) file.kind = "added";
  if (line.startsWith("deleted file ")) file.kind = "deleted";
  if (line.startsWith("rename to ")) file.kind = "renamed";
  if (line.startsWith("GIT binary patch")) file.binary = true;
}

/** The path of a file whose name has not changed: it stands there twice. */
function headerPath(header: string): string {
  const names = header.slice(FILE_HEADER.length).trimEnd();
  const half = names.slice((names.length + 1) / 2);
  return pathText(half.startsWith('"') ? `"${half.slice(3)}` : half.slice(2));
}

/** Lines, and parts of long ones. */
async function* pieces(patch: AsyncIterable<Uint8Array>): AsyncGenerator<{ piece: string; starts: boolean }> {
  let rest = "";
  let starts = true;
  for await (const bytes of patch) {
    rest += Buffer.from(bytes).toString("latin1");
    for (let at = 0; ;) {
      const end = rest.indexOf("\n", at);
      const length = (end === -1 ? rest.length : end + 1) - at;
      if (end === -1 && length < MAX_PIECE_BYTES) {
        rest = rest.slice(at);
        break;
      }
      const piece = rest.slice(at, at + Math.min(length, MAX_PIECE_BYTES));
      yield { piece, starts };
      starts = piece.endsWith("\n");
      at += piece.length;
    }
  }
  if (rest !== "") yield { piece: rest, starts };
}
