import { existsSync } from "node:fs";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { AppError, sessionDirectory, type Session } from "../../proto/index.ts";
import type { Sessions } from "../session/sessions.ts";

/** Most directories that are listed. */
const MAX_DIRECTORIES = 50;
/** Most sessions that are looked at, the newest. */
const MAX_SESSIONS = 1000;

/** Directory of this machine that sessions have worked on. */
export interface KnownDirectory {
  path: string;
  /** Time when the newest of these sessions was created. */
  lastSessionTime: Timestamp | undefined;
}

/** Lists the directories of this machine that sessions have worked on and that are still there, the newest first. */
export async function listDirectories(sessions: Pick<Sessions, "list">): Promise<KnownDirectory[]> {
  const { sessions: newest } = await sessions.list({ pageSize: MAX_SESSIONS });
  const known = new Map<string, KnownDirectory>();
  for (const session of newest) {
    const path = sessionDirectory(session);
    if (path !== "" && !known.has(path)) known.set(path, { path, lastSessionTime: session.createTime });
  }
  return [...known.values()].filter(({ path }) => existsSync(path)).slice(0, MAX_DIRECTORIES);
}

/** Returns the directory of this machine that a session worked on. Throws DIRECTORY_UNKNOWN. */
export function requireDirectory(session: Session): string {
  const directory = sessionDirectory(session);
  if (directory !== "") return directory;
  throw new AppError("DIRECTORY_UNKNOWN", `Session ${session.id} did not work on a directory of this machine.`, {
    help: "Name a clone of the repository that it worked on.",
    metadata: { session_id: session.id },
  });
}
