import { Artifact_Kind } from "../../proto/index.ts";
import { readConfigFile } from "../config/config-file.ts";
import { readDirectories } from "../directories.ts";
import { diffHtml } from "../export/diff.ts";
import { Feed } from "../export/feed.ts";
import { KnownSecrets } from "../export/known-secrets.ts";
import { secretValues } from "../export/mask-secrets.ts";
import { sessionPage } from "../export/session-page.ts";
import { writeNewFile } from "../new-file.ts";
import { readAnswer } from "../present/read-session.ts";
import { sizeText } from "../present/sent-text.ts";
import { EMPTY_PATCH, summarizeSession } from "../present/session-summary.ts";
import type { Sessions } from "../session/sessions.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/** What is read of a patch to be shown (bytes). */
const PATCH_BYTES = 2 * 1024 * 1024;

/**
 * Writes a session as one HTML file that needs nothing else, as it is now, for this user alone. Throws NOT_FOUND,
 * FILE_UNUSABLE.
 */
export async function exportCommand(
  sessions: Sessions,
  { sessionId, file }: { sessionId: string; file: string },
  { env, stdout, signal }: CommandIo,
): Promise<number> {
  const given = await sessions.get(sessionId);
  const known = new KnownSecrets([...secretValues(given.spec?.environment ?? {}), ...knownHere(env)]);
  // Before anything of it is shortened, or left out by its looks: what is left of a secret is not known any more.
  const session = known.outOfAll(given);
  const feed = new Feed();
  if (session.lastSequence > 0) {
    for await (const batch of sessions.watch(sessionId, { afterSequence: 0, signal })) {
      for (const event of batch) if (event.sequence <= session.lastSequence) feed.add(known.outOfAll(event));
      if (batch.at(-1)!.sequence >= session.lastSequence) break;
    }
  }
  signal.throwIfAborted();
  const answer = known.outOf((await readAnswer(sessions, sessionId)).text);
  const { text: patch, whole } = await readStart(sessions, sessionId);
  const diff = diffHtml(known.outOf(patch), { whole });
  const summary = summarizeSession(session, EMPTY_PATCH);
  const page = known.outOfPage(sessionPage({ session, summary, answer, feed: feed.html(), diff }));
  await writeNewFile(file, (write) => write(Buffer.from(page)));
  stdout.write(
    `${file}: ${sizeText(Buffer.byteLength(page))}. Look through it before you give it away: code may hold what does not look like a secret.\n`,
  );
  return EXIT.done;
}

/** Secrets that this machine's configuration and environment hold. */
function knownHere(env: NodeJS.ProcessEnv): string[] {
  const config = readConfigFile(readDirectories(env).configDirectory);
  const { credential = {}, git_credentials: git = {}, otlp, notify } = config;
  const tokens = Object.values(git).map(({ token }) => token);
  // "Bearer TOKEN": the token alone, too.
  const headers = Object.values(otlp?.headers ?? {}).flatMap((value) => [value, value.replace(/^\S+\s+/, "")]);
  const webhook = notify !== undefined && "url" in notify ? [notify.url] : [];
  return [
    ...secretValues({ ...credential, helper: undefined }),
    ...tokens,
    ...headers,
    ...webhook,
    ...secretValues(env),
  ];
}

/** The start of a patch, up to the end of a line. */
async function readStart(sessions: Sessions, sessionId: string): Promise<{ text: string; whole: boolean }> {
  using patch = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of patch.read()) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= PATCH_BYTES) break;
  }
  const whole = Number(patch.artifact.sizeBytes) <= bytes;
  const text = Buffer.concat(pieces).toString("utf8");
  return { text: whole ? text : text.slice(0, text.lastIndexOf("\n") + 1), whole };
}
