import { cutChars, type SessionSpec } from "../proto/index.ts";

const MAX_LENGTH = 1000;

/** Returns the repository that a session works in, for records: its address, or its directory. Empty: none. */
export function repositoryOf({ repository }: Pick<SessionSpec, "repository">): string {
  const { uri = "", snapshot } = repository ?? {};
  // Its address is the host's own then.
  return cutChars(snapshot === undefined ? uri : (snapshot.receipt?.directory ?? ""), MAX_LENGTH);
}
