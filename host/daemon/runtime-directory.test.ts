import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeRuntimeDirectory } from "./runtime-directory.ts";

test("takes a directory of this user alone, and refuses links, files, and what others can enter", async () => {
  const root = await mkdtemp(join(tmpdir(), "claudecluster-runtime-"));
  try {
    const own = join(root, "own", "nested");
    makeRuntimeDirectory(own);
    makeRuntimeDirectory(own);
    await symlink(own, join(root, "link"));
    await writeFile(join(root, "file"), "");
    const open = join(root, "open");
    makeRuntimeDirectory(open);
    await chmod(open, 0o750);
    for (const name of ["link", "open"]) {
      expect(() => makeRuntimeDirectory(join(root, name))).toThrow(
        expect.objectContaining({ reason: "RUNTIME_DIR_UNSAFE", kind: "FAILED_PRECONDITION" }),
      );
    }
    expect(() => makeRuntimeDirectory(join(root, "file"))).toThrow(
      expect.objectContaining({ reason: "RUNTIME_DIR_UNUSABLE" }),
    );
    expect(() => makeRuntimeDirectory(join(root, "x".repeat(100)))).toThrow(
      expect.objectContaining({ reason: "RUNTIME_DIR_TOO_LONG" }),
    );
  } finally {
    await rm(root, { recursive: true });
  }
});
