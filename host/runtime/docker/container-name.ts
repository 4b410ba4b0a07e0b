import { randomBytes } from "node:crypto";

/** Names a session's container: for people, and to find one whose create was never answered. */
export function containerName(sessionId: string): string {
  return `${prefix(sessionId)}${randomBytes(4).toString("hex")}`;
}

/** Whether it is the name of a session's container. */
export function isContainerName(name: string, sessionId: string): boolean {
  return name.startsWith(prefix(sessionId)) && /^[0-9a-f]{8}$/.test(name.slice(prefix(sessionId).length));
}

function prefix(sessionId: string): string {
  return `claudecluster-${sessionId.replace(/[^A-Za-z0-9_.-]/g, "_")}-`;
}
