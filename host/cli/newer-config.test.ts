import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { newerConfig } from "./newer-config.ts";

test("says that the host must be restarted once config.json is newer than it", async () => {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-newer-"));
  const path = join(directory, "config.json");
  const host = { startTime: timestampFromMs(1_000_000) };
  expect(newerConfig(host, directory)).toBeUndefined();
  await writeFile(path, "{}");
  await utimes(path, 999, 999);
  expect(newerConfig(host, directory)).toBeUndefined();
  await utimes(path, 1001, 1001);
  expect(newerConfig(host, directory)).toContain("claudecluster shutdown");
  await rm(directory, { recursive: true });
});
