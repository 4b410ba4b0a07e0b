import semver from "semver";
import type { GetHostInfoResponse } from "../../proto/control.ts";
import { VERSION } from "../version.ts";

/** Returns a sentence on a running host of another version than this program's: what becomes of it. Undefined: it is none. */
export function otherVersion({
  hostVersion,
  liveSessionCount,
}: Pick<GetHostInfoResponse, "hostVersion" | "liveSessionCount">): string | undefined {
  const version = semver.parse(hostVersion);
  const own = semver.parse(VERSION);
  if (version === null || own === null || semver.eq(version, own)) return undefined;
  if (semver.gt(version, own))
    return `The host is newer than this (${VERSION}) and works with it. Update this one as it was installed: npm install --global, or npx with @latest`;
  return liveSessionCount > 0
    ? `The host is older than this (${VERSION}), which takes its place once no session is live`
    : `The host is older than this (${VERSION}), which takes its place with the next command that uses it`;
}
