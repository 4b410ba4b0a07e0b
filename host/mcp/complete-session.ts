import { Artifact_Kind } from "../../proto/index.ts";
import { listPatchFiles } from "../present/patch-pages.ts";
import type { Sessions } from "../session/sessions.ts";

/** So many sessions are offered, the newest. */
const OFFERED = 100;

/** Returns the ids of sessions that begin or end as somebody has begun to write, newest first. */
export async function completeSession(sessions: Pick<Sessions, "list">, written: string): Promise<string[]> {
  const { sessions: newest } = await sessions.list({ pageSize: OFFERED });
  const part = written.toLowerCase();
  const fits = (id: string) => id.toLowerCase().startsWith(part) || id.toLowerCase().endsWith(part);
  return newest.map(({ id }) => id).filter(fits);
}

/** What else somebody has written of what is completed. */
export interface CompletionContext {
  arguments?: Record<string, string>;
}

/** Returns the paths of files that a session has changed and that have in them what somebody has begun to write. */
export async function completePath(
  sessions: Pick<Sessions, "openArtifact">,
  written: string,
  context: CompletionContext = {},
): Promise<string[]> {
  const { session_id: id = "" } = context.arguments ?? {};
  try {
    using patch = await sessions.openArtifact(id, Artifact_Kind.PATCH);
    const files = await listPatchFiles(patch.read());
    // What stays quoted is no text that a path could be written as.
    const names = files.filter(({ kind, path }) => kind !== "deleted" && !path.startsWith('"')).map(({ path }) => path);
    return names.filter((name) => name.includes(written)).slice(0, OFFERED);
  } catch {
    // Nobody has named a session, or it is gone: nothing to offer.
    return [];
  }
}
