import { readdir, readFile } from "node:fs/promises";
import { expect, it } from "vitest";

const DIRECTORY = new URL("recordings/", import.meta.url);
const MOST_BYTES = 60_000;

it.each(await readdir(DIRECTORY))("recording %s is small, parses, and names no machine", async (name) => {
  const text = await readFile(new URL(name, DIRECTORY), "utf8");
  expect(Buffer.byteLength(text)).toBeLessThan(MOST_BYTES);
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.trimEnd().split("\n")) expect(JSON.parse(line)).toHaveProperty("type");
  expect(text).not.toMatch(/scripted-claude|scrip"|node_modules|127\.0\.0\.1|sk-ant/);
});
