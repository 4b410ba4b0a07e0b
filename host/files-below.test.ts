import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { filesBelow } from "./files-below.ts";

test("lists what stays, while directories come and go beside it", async () => {
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-below-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, "kept/deeper"), { recursive: true });
  const kept = [join(directory, "file"), join(directory, "kept/deeper/file")];
  for (const path of kept) writeFileSync(path, "");
  const passing = join(directory, "incoming");
  for (let time = 0; time < 200; time++) {
    mkdirSync(join(passing, "deeper"), { recursive: true });
    const listed = filesBelow(directory);
    for (let turn = 0; turn < time % 8; turn++) await new Promise((resolve) => setImmediate(resolve));
    rmSync(passing, { recursive: true });
    expect((await listed).toSorted()).toEqual(kept);
  }
});

test("finds nothing where there is no directory, and says what else is wrong", async () => {
  expect(await filesBelow("/no/such/directory")).toEqual([]);
  await expect(filesBelow("/dev/null")).rejects.toThrow("ENOTDIR");
});
