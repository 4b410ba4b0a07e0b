import { isObjectId } from "./git.ts";

/** Facts of a commit object that decide where it stands. */
export interface ParsedCommit {
  treeId: string;
  parentIds: string[];
  /** Header lines after the parents, in latin1, without those that were not understood. */
  author: string;
  committer: string;
  /** Name of the message's encoding. Undefined: UTF-8. */
  encoding: string | undefined;
  /** Message, in latin1. */
  message: string;
}

const IDENTITY = /^([^<>\n]*)<([^<>\n]*)> (\d{1,12}) ([+-]\d{4})$/;
const ENCODING = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,39}$/;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/g;
/** Of UTF-8, in its bytes: what terminals take for control characters too, and what turns the direction of text. */
const CONTROL_UTF8 = /\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]/g;
/** Most parents that git itself gives a commit by one merge, and some more. */
const MAX_PARENTS = 64;

/**
 * Parses a commit object that came from elsewhere. What is odd in its names, times and message is made plain, and signatures
 * and unknown headers are dropped. Undefined: it is no commit, or has no tree.
 */
export function parseCommit(object: Uint8Array): ParsedCommit | undefined {
  const text = Buffer.from(object).toString("latin1");
  const end = text.indexOf("\n\n");
  const lines = (end < 0 ? text.replace(/\n$/, "") : text.slice(0, end)).split("\n");
  const value = (line: string | undefined, name: string) =>
    line?.startsWith(`${name} `) === true ? line.slice(name.length + 1) : undefined;
  const treeId = value(lines.shift(), "tree") ?? "";
  const parentIds: string[] = [];
  for (let id = value(lines[0], "parent"); id !== undefined; id = value(lines[0], "parent")) {
    parentIds.push(id);
    lines.shift();
  }
  if (![treeId, ...parentIds].every((id) => isObjectId(id)) || parentIds.length > MAX_PARENTS) return undefined;
  const given = lines.map((line) => value(line, "encoding")).find((each) => each !== undefined);
  const encoding = given !== undefined && ENCODING.test(given) ? given : undefined;
  const clean = (raw: string): string => {
    const plain = raw.replace(CONTROL, "");
    return encoding === undefined ? plain.replace(CONTROL_UTF8, "") : plain;
  };
  return {
    treeId,
    parentIds,
    author: identity(value(lines[0], "author"), clean),
    committer: identity(value(lines[1], "committer"), clean),
    encoding,
    message: end < 0 ? "" : clean(text.slice(end + 2)),
  };
}

/** Writes a commit object. Of one that was parsed and had nothing odd, these are the bytes that it was parsed from. */
export function writeCommit({ treeId, parentIds, author, committer, encoding, message }: ParsedCommit): Buffer {
  const lines = [
    `tree ${treeId}`,
    ...parentIds.map((id) => `parent ${id}`),
    `author ${author}`,
    `committer ${committer}`,
    ...(encoding === undefined ? [] : [`encoding ${encoding}`]),
  ];
  return Buffer.from(`${lines.join("\n")}\n\n${message}`, "latin1");
}

function identity(line: string | undefined, clean: (raw: string) => string): string {
  const [, name = "", email = "", time = "0", zone = "+0000"] = IDENTITY.exec(line ?? "") ?? [];
  const plainName = clean(name)
    .replace(/[\n\t]/g, " ")
    .trim();
  const plainEmail = clean(email).replace(/\s/g, "");
  return `${plainName === "" ? "Unknown" : plainName} <${plainEmail}> ${BigInt(time)} ${zone}`;
}
