import { expect, vi } from "vitest";
import { containersOf } from "./docker.ts";
import type { TestDirectories } from "./host-directories.ts";

/** Resolves once the host of these directories has no container any more: the end of a session does not wait for its removal. */
export async function containersGone(place: TestDirectories): Promise<void> {
  await vi.waitFor(async () => expect(await containersOf(place)).toEqual([]), { timeout: 30_000, interval: 100 });
}
