import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const MODULE = fileURLToPath(new URL("log.ts", import.meta.url));

function logged(program: string): Record<string, unknown>[] {
  const source = `import { createLogger } from ${JSON.stringify(MODULE)}; ${program}`;
  const out = execFileSync("sh", ["-c", '"$0" --input-type=module -e "$1" 2>&1', process.execPath, source], {
    encoding: "utf8",
  });
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("writes one JSON object a line, from its level on, with the fields of its parents", () => {
  const lines = logged(
    `const log = createLogger("warn").child({ a: 1 }); log.info({}, "not this"); log.warn({ b: 2 }, "this\\nline"); process.exit(0)`,
  );
  expect(lines).toMatchObject([{ level: 40, a: 1, b: 2, msg: "this\nline" }]);
});

test("tells an error's message and stack", () => {
  const [line] = logged(`createLogger("info").error({ err: new TypeError("no") }, "failed")`);
  expect(line).toMatchObject({
    err: { type: "TypeError", message: "no", stack: expect.stringContaining("TypeError") },
  });
});
