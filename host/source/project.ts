import { createHash } from "node:crypto";
import type { Session } from "../../proto/index.ts";
import { type LocatedRepository, locateRepository } from "../repository/locate.ts";

/** Project that a located repository is, by the name of its store: one for all its work trees and their subdirectories. */
export function projectName({ git, root, objectFormat }: LocatedRepository): string {
  const name = `${objectFormat}\0${git?.commonDirectory ?? root}`;
  return createHash("sha256").update(name).digest("hex").slice(0, 32);
}

/** Finds the project that a directory is in. Undefined: it is in no repository. */
export async function findProject(directory: string, { signal }: { signal: AbortSignal }): Promise<string | undefined> {
  const located = await locateRepository(directory, { signal }).catch(() => undefined);
  return located?.kind === "repository" ? projectName(located) : undefined;
}

/** Project of this machine that a session works on. What goes on with a session has its repository. Undefined: it works on no directory. */
export function projectOf({ spec }: Session): string | undefined {
  const { store = "", senderStore = "" } = spec?.repository?.snapshot ?? {};
  // Of what was sent to a host elsewhere only the sender's name is one of this machine.
  return senderStore || store || undefined;
}
