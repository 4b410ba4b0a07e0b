/**
 * A path from the top of the work tree as git holds it: bytes, in no particular encoding. Kept as a string with one
 * character for each byte (latin1), so that it can be a key and survives the way through pipes.
 */
export type RawPath = string;

const ESCAPES: Record<string, string> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  '"': '\\"',
  "\\": "\\\\",
};

/** What the letters of the escapes stand for. */
const MEANINGS = new Map(Object.entries(ESCAPES).map(([meaning, escape]) => [escape.charAt(1), meaning]));
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Returns the path as git shows it with core.quotePath: in C-style quotes where it holds unusual bytes. */
export function quotePath(path: RawPath): string {
  const quoted = path.replace(
    /[\x00-\x1f"\\\x7f-\xff]/g,
    (byte) => ESCAPES[byte] ?? `\\${byte.charCodeAt(0).toString(8).padStart(3, "0")}`,
  );
  return quoted === path ? path : `"${quoted}"`;
}

/** Returns the bytes of a path that git has shown, in quotes or not. Throws nothing: what is no escape stands for itself. */
export function unquotePath(path: string): Uint8Array {
  if (!path.startsWith('"')) return encoder.encode(path);
  const inner = /^"((?:[^"\\]|\\.)*)"$/su.exec(path)?.[1] ?? path;
  const bytes: number[] = [];
  for (const [part, number, letter = ""] of inner.matchAll(/\\([0-7]{3})|\\(.)|[^\\]+/gsu)) {
    if (number !== undefined) bytes.push(Number.parseInt(number, 8) & 0xff);
    else if (letter === "") bytes.push(...encoder.encode(part));
    else bytes.push(...encoder.encode(MEANINGS.get(letter) ?? letter));
  }
  return Uint8Array.from(bytes);
}

/** Returns the NUL-terminated list of git's -z options. */
export function joinPaths(paths: Iterable<RawPath>): Buffer {
  let text = "";
  for (const path of paths) text += `${path}\0`;
  return Buffer.from(text, "latin1");
}

/** Reads a NUL-terminated list. */
export function splitPaths(output: Buffer): RawPath[] {
  const paths = output.toString("latin1").split("\0");
  paths.pop();
  return paths;
}

/** Returns the directories that a path is in, from the top one on. */
export function parentsOf(path: RawPath): RawPath[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("/"));
}

/** Returns a path below a directory as the system takes it. */
export function pathIn(directory: string, path: RawPath): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, "latin1")]);
}

/** Returns a path, or other bytes as they come from git, as text: what is no UTF-8 is replaced. In a browser, too. */
export function utf8Of(path: RawPath): string {
  return isAscii(path) ? path : decoder.decode(Uint8Array.from(path, (byte) => byte.charCodeAt(0)));
}

/** Returns the path that a text, or its bytes, names. In a browser, too. */
export function rawPathOf(path: string | Uint8Array): RawPath {
  if (typeof path === "string" && isAscii(path)) return path;
  const bytes = typeof path === "string" ? encoder.encode(path) : path;
  let raw = "";
  for (const byte of bytes) raw += String.fromCharCode(byte);
  return raw;
}

function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}

/** Returns the paths, valid UTF-8 all of them, as arguments of a command. */
export function asArguments(paths: readonly RawPath[]): string[] {
  return ["--", ...paths.map(utf8Of)];
}
