import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { writeNewFile } from "./new-file.ts";

function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-new-file-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

test("a file is there whole, for this user alone, and beside it nothing has gone", async () => {
  const directory = makeDirectory();
  const path = join(directory, "a");
  writeFileSync(`${path}.part`, "somebody's");
  const value = await writeNewFile(path, async (write) => {
    await write(Buffer.from("one "));
    expect(readdirSync(directory)).not.toContain("a");
    await write(Buffer.from("two"));
    return 7;
  });
  expect({ value, content: readFileSync(path, "utf8"), mode: statSync(path).mode & 0o777 }).toEqual({
    value: 7,
    content: "one two",
    mode: 0o600,
  });
  expect(readdirSync(directory).sort()).toEqual(["a", "a.part"]);
  expect(readFileSync(`${path}.part`, "utf8")).toBe("somebody's");
});

test("what a writer has left that was killed goes, and what another one writes stays", async () => {
  const directory = makeDirectory();
  const { pid } = spawnSync(process.execPath, ["--version"]);
  const nameOf = (file: string, id: number) => `${file}.${id}-0123456789ab.part`;
  const kept = [nameOf("a", process.pid), nameOf("b", pid), `a.${pid}.part`];
  for (const name of [nameOf("a", pid), ...kept]) writeFileSync(join(directory, name), "");
  await writeNewFile(join(directory, "a"), (write) => write(Buffer.from("x")));
  expect(readdirSync(directory).sort()).toEqual(["a", ...kept].sort());
});

test("what is not written whole, or what another was given the name of first, leaves no file", async () => {
  const directory = makeDirectory();
  const path = join(directory, "a");
  const broken = writeNewFile(path, async (write) => {
    await write(Buffer.from("half"));
    throw new Error("enough");
  });
  await expect(broken).rejects.toThrow("enough");
  expect(readdirSync(directory)).toEqual([]);
  const late = writeNewFile(path, async () => void (await writeNewFile(path, (write) => write(Buffer.from("first")))));
  await expect(late).rejects.toMatchObject({ reason: "FILE_UNUSABLE" });
  expect({ names: readdirSync(directory), content: readFileSync(path, "utf8") }).toEqual({
    names: ["a"],
    content: "first",
  });
  symlinkSync("elsewhere", join(directory, "link"));
  await expect(writeNewFile(join(directory, "link"), () => Promise.resolve())).rejects.toMatchObject({
    reason: "FILE_UNUSABLE",
  });
});
