import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { ask } from "./converse.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

it("says where it listens, takes its key from a file, and ends on SIGTERM", async () => {
  const directory = await mkdtemp(join(tmpdir(), "scripted-model-"));
  const keyFile = join(directory, "key");
  await writeFile(keyFile, "right\n");
  const child = spawn(process.execPath, [MAIN, "--key-file", keyFile], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const url = /^listening on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(line.toString())?.[1] ?? "";
    const messages = [{ role: "user", content: "hello" }] as const;
    expect((await ask({ url, messages })).status).toBe(401);
    expect((await ask({ url, messages, headers: { "x-api-key": "right" } })).status).toBe(200);
  } finally {
    child.kill("SIGTERM");
    const [code] = (await once(child, "exit")) as [number | null];
    await rm(directory, { recursive: true });
    expect(code).toBe(0);
  }
});
