import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AddressSource } from "./address-source.ts";
import { readUserFiles } from "./user-files.ts";

let root: string;
let directory: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "claudecluster-own-"));
  directory = join(root, ".claude");
  await put("CLAUDE.md", "mine");
  await put("skills/größe/SKILL.md", "x");
  await put("skills/größe/run.sh", "x");
  await chmod(join(directory, "skills/größe/run.sh"), 0o755);
  await put("agents/reviewer.md", "x");
  await put("commands/team/ship.md", "x");
});
afterEach(() => rm(root, { recursive: true }));

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(directory, path)), { recursive: true });
  await writeFile(join(directory, path), content);
}

const read = (...names: string[]) => readUserFiles(names, { directory });
const pathsOf = async (...names: string[]) => (await read(...names)).files.map(({ path }) => path);

test("reads files and directories that are named, once each, and says which may be executed", async () => {
  expect(await pathsOf("CLAUDE.md", "~/.claude/skills/", "./skills/größe", "commands")).toEqual([
    "CLAUDE.md",
    "skills/größe/SKILL.md",
    "skills/größe/run.sh",
    "commands/team/ship.md",
  ]);
  const { files } = await read("CLAUDE.md", "skills/größe/run.sh");
  expect(files.map(({ data, sizeBytes, executable }) => [Buffer.from(data).toString(), sizeBytes, executable])).toEqual(
    [
      ["mine", 4n, false],
      ["x", 1n, true],
    ],
  );
});

test.each([
  ".credentials.json",
  ".claude.json",
  "../.claude.json",
  "/etc/passwd",
  "settings.local.json",
  "projects",
  "history.jsonl",
  "skills/../.credentials.json",
  "skills/a\u001b[2Jb",
  "",
])("refuses what is nothing of a set-up: %j", async (name) => {
  await put("skills/x/SKILL.md", "x");
  await expect(read(name)).rejects.toMatchObject({ reason: "USER_FILE_INVALID" });
});

test("says what there is where something is not", async () => {
  await expect(read("agents/review.md")).rejects.toMatchObject({
    reason: "USER_FILE_INVALID",
    message: `There is no agents/review.md in ${directory}.`,
    help: "There are: agents/reviewer.md.",
  });
});

test("refuses a secret that is named, and leaves it out of a directory, as links that lead out of it", async () => {
  await put("skills/größe/.env", "TOKEN=x");
  await writeFile(join(root, "outside.md"), "x");
  await symlink(join(root, "outside.md"), join(directory, "skills/größe/outside.md"));
  await symlink("SKILL.md", join(directory, "skills/größe/inside.md"));
  await symlink("..", join(directory, "skills/größe/loop"));
  await symlink(root, join(directory, "skills/all"));
  await put("skills/größe/.git/config", "x");
  const { files, leftOut } = await read("skills");
  expect(files.map(({ path }) => path)).toEqual([
    "skills/größe/SKILL.md",
    "skills/größe/inside.md",
    "skills/größe/run.sh",
  ]);
  expect(leftOut.map(({ reason, paths }) => [reason, paths])).toEqual([
    ["link", ["skills/all", "skills/größe/loop", "skills/größe/outside.md"]],
    ["secret", ["skills/größe/.env"]],
  ]);
  await expect(read("skills/größe/.env")).rejects.toMatchObject({ reason: "USER_FILE_SECRET" });
  await expect(read("skills/größe/outside.md")).rejects.toMatchObject({
    reason: "USER_FILE_INVALID",
    message: expect.stringContaining("outside of it") as string,
  });
});

test("follows no link to what could not be named, though it is in the directory", async () => {
  await put(".credentials.json", "x");
  await put("history.jsonl", "x");
  await put("settings.json", JSON.stringify({ env: { GITHUB_TOKEN: "x" } }));
  await put("projects/p/x.jsonl", "x");
  await put("skills/größe/.git/config", "x");
  const links = ["../../.credentials.json", "../../history.jsonl", "../../settings.json", "../../projects", ".git"];
  for (const [at, target] of links.entries()) await symlink(target, join(directory, `skills/größe/${at}.md`));
  const { files, leftOut } = await read("skills/größe");
  expect(files.map(({ path }) => path)).toEqual(["skills/größe/SKILL.md", "skills/größe/run.sh"]);
  expect(leftOut.map(({ reason, count }) => [reason, count])).toEqual([
    ["secret", 1],
    ["link", 4],
  ]);
  for (const at of [1, 2, 3, 4]) {
    await expect(read(`skills/größe/${at}.md`)).rejects.toMatchObject({ reason: "USER_FILE_INVALID" });
  }
  await expect(read("skills/größe/0.md")).rejects.toMatchObject({ reason: "USER_FILE_SECRET" });
  await expect(read("skills/größe/.git/config")).rejects.toMatchObject({ reason: "USER_FILE_INVALID" });
});

test("comes to an end where links multiply directories", async () => {
  for (const name of ["a", "b"]) await mkdir(join(directory, "skills", name));
  for (const [name, other] of ["ab", "ba"]) {
    for (const link of ["x", "y"]) await symlink(`../${other}`, join(directory, `skills/${name}/${link}`));
  }
  await expect(read("skills/a")).rejects.toMatchObject({ reason: "USER_FILES_TOO_LARGE" });
});

test("takes no more than goes in", async () => {
  await put("skills/large/SKILL.md", "x".repeat(4 * 1024 * 1024));
  await expect(read("skills/large", "CLAUDE.md")).rejects.toMatchObject({ reason: "USER_FILES_TOO_LARGE" });
});

test.each([
  [{ hooks: {}, env: { MY_FLAVOUR: "vanilla" } }, undefined],
  [{ apiKeyHelper: "pass show key" }, "USER_FILE_SECRET"],
  [{ env: { GITHUB_TOKEN: "x" } }, "USER_FILE_SECRET"],
  [{ env: { ANTHROPIC_BASE_URL: "x" } }, "ENVIRONMENT_RESERVED"],
])("takes settings only where they hold nothing that sessions may not have: %j", async (settings, reason) => {
  await put("settings.json", JSON.stringify(settings));
  if (reason === undefined) expect(await pathsOf("settings.json")).toEqual(["settings.json"]);
  else await expect(read("settings.json")).rejects.toMatchObject({ reason });
});

test("a caller elsewhere is told what works", async () => {
  const wish = { userFiles: ["CLAUDE.md"], continues: false };
  await expect(new AddressSource().find(wish)).rejects.toMatchObject({
    reason: "USER_FILES_ELSEWHERE",
    help: expect.stringContaining("CLAUDECLUSTER_HOST") as string,
  });
});
