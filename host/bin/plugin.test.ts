import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const readJson = async (path: string) => JSON.parse(await readFile(join(ROOT, path), "utf8")) as { version: string };

test("Claude Code takes the package for a plugin, of the package's version, without a warning", async () => {
  const home = await mkdtemp(join(tmpdir(), "claudecluster-plugin-"));
  try {
    const { stdout } = await promisify(execFile)(
      join(ROOT, "node_modules/.bin/claude"),
      ["plugin", "validate", "--strict", ROOT],
      {
        env: { PATH: process.env["PATH"], HOME: home, TMPDIR: home, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
      },
    );
    expect(stdout).toContain('claudecluster stdio claudecluster ["mcp"]');
    const { version } = await readJson("package.json");
    expect((await readJson(".claude-plugin/plugin.json")).version).toBe(version);
  } finally {
    await rm(home, { recursive: true });
  }
});
