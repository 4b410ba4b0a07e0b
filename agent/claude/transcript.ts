import { join } from "node:path";
import { AppError, cutChars, type ErrorReason, lastChars } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import { run } from "../process/run.ts";

// Claude Code keeps each conversation as a file of JSON lines, <id>.jsonl, in a directory for each directory that it
// was started in. `--resume` looks in all of them. (2.1.332)

/**
 * Returns whether this is an id that Claude Code gives conversations. Only such an id may become the name of a file.
 */
export function isConversationId(id: string): boolean {
  return /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(id);
}

/** Returns a conversation's id that a caller has given; empty for none. Throws RESTORE_INVALID for what is no id. */
export function requireConversationId(id: string): string {
  if (id === "" || isConversationId(id)) return id;
  throw new AppError("RESTORE_INVALID", `"${cutChars(id, 64)}" cannot be a conversation's id.`, {
    help: "Send the conversation_id of the session before, or none.",
  });
}

/** User whose conversations and files are read and written. */
export interface UserPlace {
  /** Home directory of that user. */
  home: string;
  /** Directories in which programs are looked for, separated by colons. */
  path: string;
  identity: Identity | undefined;
}

/** $1 is the projects directory, $2 the file's name. Only a plain file counts, whatever Claude has put there. */
const READ = `file=$(find "$1" -mindepth 2 -maxdepth 2 -type f -name "$2" -print -quit 2>/dev/null)
[ -z "$file" ] || exec cat -- "$file"`;

/** $1 is the directory, $2 the file's name, the content comes from stdin. */
const WRITE = 'mkdir -p -- "$1" && exec cat > "$1/$2"';

/** What the conversation has cost so far. */
const COST_LINE = Buffer.from('"type":"cost-state"');
const NEWLINE = 10;

/**
 * Returns the transcript of a conversation; empty if there is none. Throws OUTPUT_TOO_LARGE, TRANSCRIPT_NOT_READ. It is
 * read as the session's user: Claude may have put a link there.
 */
export async function readTranscript(
  place: UserPlace,
  conversationId: string,
  { maxBytes, signal }: { maxBytes: number; signal: AbortSignal },
): Promise<Buffer> {
  const args = ["-c", READ, "sh", projectsOf(place), `${conversationId}.jsonl`];
  const { code, stdout, stderr } = await run("sh", args, { ...childOf(place), maxOutputBytes: maxBytes, signal });
  if (code === 0) return stdout;
  throw failed("TRANSCRIPT_NOT_READ", "read", stderr);
}

/**
 * Writes a transcript to where Claude Code looks for it, without its costs: they would be counted again. Throws
 * TRANSCRIPT_NOT_WRITTEN.
 */
export async function writeTranscript(
  place: UserPlace,
  conversationId: string,
  transcript: Buffer,
  { cwd, signal }: { cwd: string; signal: AbortSignal },
): Promise<void> {
  const directory = join(projectsOf(place), cwd.replace(/[^A-Za-z0-9]/g, "-"));
  const args = ["-c", WRITE, "sh", directory, `${conversationId}.jsonl`];
  const child = { ...childOf(place), umask: "077" };
  const { code, stderr } = await run("sh", args, { ...child, input: withoutCosts(transcript), signal });
  if (code !== 0) throw failed("TRANSCRIPT_NOT_WRITTEN", "write", stderr);
}

/** Returns a transcript without the lines that tell its costs. */
export function withoutCosts(transcript: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let start = 0; start < transcript.length;) {
    const newline = transcript.indexOf(NEWLINE, start);
    const end = newline < 0 ? transcript.length : newline + 1;
    const line = transcript.subarray(start, end);
    if (!line.includes(COST_LINE)) kept.push(line);
    start = end;
  }
  return Buffer.concat(kept);
}

function projectsOf({ home }: UserPlace): string {
  return join(home, ".claude", "projects");
}

function childOf({ identity, path }: UserPlace) {
  return { identity, env: { PATH: path, LC_ALL: "C" } };
}

function failed(reason: ErrorReason, verb: string, stderr: string): AppError {
  const said = lastChars(stderr.trim(), 500);
  return new AppError(reason, `Could not ${verb} the transcript of the conversation: ${said}.`, {
    metadata: { stderr: said },
  });
}
