import { Artifact_Kind } from "../../proto/index.ts";
import { readConfigFile } from "../config/config-file.ts";
import { readDirectories } from "../directories.ts";
import { diffHtml } from "../export/diff.ts";
import { Feed } from "../export/feed.ts";
import { withoutSecrets } from "../export/html.ts";
import { secretValues } from "../export/mask-secrets.ts";
import { sessionPage } from "../export/session-page.ts";
import { writeNewFile } from "../new-file.ts";
import { readAnswer, readSummary } from "../present/read-session.ts";
import { sizeText } from "../present/sent-text.ts";
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
  const { session, summary } = await readSummary(sessions, sessionId);
  const feed = new Feed();
  if (session.lastSequence > 0) {
    for await (const batch of sessions.watch(sessionId, { afterSequence: 0, signal })) {
      for (const event of batch) if (event.sequence <= session.lastSequence) feed.add(event);
      if (batch.at(-1)!.sequence >= session.lastSequence) break;
    }
  }
  signal.throwIfAborted();
  const { text: answer } = await readAnswer(sessions, sessionId);
  const diff = diffHtml(...(await readStart(sessions, sessionId)));
  const whole = sessionPage({ session, summary, answer, feed: feed.html(), diff });
  const page = withoutSecrets(whole, [...secretValues(session.spec?.environment ?? {}), ...knownHere(env)]);
  await writeNewFile(file, (write) => write(Buffer.from(page)));
  stdout.write(
    `${file}: ${sizeText(Buffer.byteLength(page))}. Look through it before you give it away: code may hold what does not look like a secret.\n`,
  );
  return EXIT.done;
}

/** Secrets that this machine's configuration and environment hold. */
function knownHere(env: NodeJS.ProcessEnv): string[] {
  const { credential = {}, git_credentials: git = {} } = readConfigFile(readDirectories(env).configDirectory);
  const tokens = Object.values(git).map(({ token }) => token);
  return [...secretValues({ ...credential, helper: undefined }), ...tokens, ...secretValues(env)];
}

async function readStart(sessions: Sessions, sessionId: string): Promise<[string, { whole: boolean }]> {
  using patch = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of patch.read()) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= PATCH_BYTES) break;
  }
  const whole = Number(patch.artifact.sizeBytes) <= bytes;
  return [Buffer.concat(pieces).toString("utf8"), { whole }];
}
