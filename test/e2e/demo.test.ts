import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test("the demo shows one real session, its diff and its result, and leaves nothing behind", async () => {
  // Without a credential it plays the scripted model.
  const { PATH, HOME, TMPDIR } = process.env;
  // npm keeps a cache among the temporary files.
  const env = { PATH, HOME, TMPDIR, NODE_DISABLE_COMPILE_CACHE: "1" };
  const { stdout, stderr } = await promisify(execFile)("npm", ["run", "-s", "demo:run"], { cwd: ROOT, env });
  const shown = `${stdout}\n${stderr}`;
  expect(shown).toMatch(/^session ses_\w+$/m);
  expect(shown).toMatch(/^succeeded: 6 files changed/m);
  expect(shown).toContain("+++ b/src/languages.js");
});
