import { Ajv as Draft07 } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { connectInProcess } from "../../test/support/mcp-in-process.ts";

/** Size of all tools as a model gets them: each turn of a parent that has them loaded pays for it (characters). */
const MAX_SIZE = 16_000;
/** Keys at the top of a schema that Anthropic's API refuses. */
const REFUSED = ["oneOf", "allOf", "anyOf"];

async function listTools() {
  using sessions = new MemorySessions();
  await using client = await connectInProcess({ sessions, project: { directory: "/", stateDirectory: "/nowhere" } });
  return (await client.listTools()).tools;
}

test("the tools' schemas are valid in the dialects that clients know, and their names are taken by all", async () => {
  const tools = await listTools();
  for (const { name, inputSchema, outputSchema } of tools) {
    // As Claude Code calls it: mcp__plugin_claudecluster_claudecluster__NAME has to have 64 characters at most.
    expect(name).toMatch(/^[a-z_]{1,25}$/);
    expect(Object.keys(inputSchema).filter((key) => REFUSED.includes(key))).toEqual([]);
    for (const schema of [inputSchema, outputSchema]) {
      if (schema === undefined) continue;
      new Ajv2020({ strict: true, strictTypes: "log", logger: false }).compile(schema as object);
      new Draft07({ strict: true, strictTypes: "log", logger: false }).compile(schema as object);
    }
  }
});

test("all tools together cost a parent few tokens", async () => {
  const tools = await listTools();
  const seen = tools.map(({ name, description, inputSchema }) => JSON.stringify({ name, description, inputSchema }));
  expect(seen.join().length).toBeLessThan(MAX_SIZE);
});
