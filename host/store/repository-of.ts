import type { Session } from "../../proto/index.ts";

/** Returns what a session's usage is reported under: the address of its repository, or the directory that it was read from. */
export function repositoryOf({ spec }: Session): string {
  const { snapshot, uri = "" } = spec?.repository ?? {};
  return snapshot?.receipt?.directory || uri;
}
