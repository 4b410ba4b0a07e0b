import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type SessionSpec, SessionSpecSchema, takeUserFiles, UserFilesSchema } from "../../proto/index.ts";
import type { SessionStore } from "../store/session-store.ts";

/**
 * Takes the user's files out of a new session's spec, and returns them as the store keeps them. Where the spec has none of
 * its own they are those of the session that it goes on from. Undefined: there are none.
 */
export function userFilesOf(store: SessionStore, spec: SessionSpec): Uint8Array | undefined {
  if (spec.userFiles === undefined) return store.getUserFiles(spec.previousSessionId || spec.afterSessionId);
  const files = takeUserFiles(spec);
  return files.length === 0 ? undefined : toBinary(UserFilesSchema, create(UserFilesSchema, { files }));
}

/** Returns the spec with the user's files as the store keeps them. */
export function withUserFiles(spec: SessionSpec, kept: Uint8Array | undefined): SessionSpec {
  if (kept === undefined) return spec;
  const whole = clone(SessionSpecSchema, spec);
  whole.userFiles = fromBinary(UserFilesSchema, kept);
  return whole;
}
