import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ExclusiveLock, hostLockPath } from "./exclusive-lock.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "claudecluster-lock-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("is one's at a time, in a file that nobody else can read, also one that everybody could", () => {
  const path = hostLockPath(join(directory, "below"));
  for (let time = 0; time < 2; time++) {
    using lock = ExclusiveLock.take(path);
    expect(lock).toBeDefined();
    expect(ExclusiveLock.take(path)).toBeUndefined();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o644);
  }
});

test("says of a file that is something else what to do", () => {
  const path = hostLockPath(directory);
  writeFileSync(path, "no database ".repeat(100));
  expect(() => ExclusiveLock.take(path)).toThrow(
    expect.objectContaining({
      reason: "LOCK_UNUSABLE",
      message: expect.stringContaining(path),
      help: expect.stringMatching(/^Remove it/),
    }),
  );
});
