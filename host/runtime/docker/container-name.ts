import { randomBytes } from "node:crypto";

/** Returns an id of our own for a new container. It is known before the engine has answered. */
export function newContainerKey(): string {
  return randomBytes(8).toString("hex");
}

/** Returns whether a text has the form of such an id. */
export function isContainerKey(key: string): boolean {
  return /^[0-9a-f]{16}$/.test(key);
}

/** Returns the name of a container, for people, and to find one whose create was never answered. */
export function containerName(key: string): string {
  return `claudecluster-${key}`;
}
