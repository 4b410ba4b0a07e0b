import { readFile } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { connectOverHttp } from "../../test/support/connect-over-http.ts";
import { ContainerSpecSchema, SessionSpecSchema } from "../../proto/index.ts";

const SKILLS = new URL("../../.claude-plugin/skills/", import.meta.url);

test.each(["legacy", "auto"] as const)("each skill of the plugin is a prompt with the same text (%s)", async (mode) => {
  using sessions = new MemorySessions();
  const client = await connectOverHttp(sessions, mode);
  const { prompts } = await client.listPrompts();
  expect(prompts.map(({ name }) => name)).toEqual(["fan-out", "review-and-apply", "compare"]);
  for (const { name, description, arguments: taken } of prompts) {
    const file = await readFile(new URL(`${name}/SKILL.md`, SKILLS), "utf8");
    const [head, text] = file.slice(4).split("\n---\n\n");
    expect(head).toContain(`name: ${name}\ndescription: ${description}\n`);
    expect(taken).toMatchObject([{ name: "arguments", required: false }]);
    const get = async (given?: Record<string, string>) =>
      (await client.getPrompt({ name, ...(given && { arguments: given }) })).messages;
    const said = "the $& parser";
    expect(await get({ arguments: said })).toEqual([
      { role: "user", content: { type: "text", text: text!.split("$ARGUMENTS").join(said) } },
    ]);
    // Sent without, too.
    expect(await get()).toEqual([
      { role: "user", content: { type: "text", text: text!.split("$ARGUMENTS").join("") } },
    ]);
  }
  await client.close();
});

test("a prompt on sessions completes their ids", async () => {
  using sessions = new MemorySessions();
  const start = async () =>
    (await sessions.create({ spec: create(SessionSpecSchema, { task: "x" }), container: create(ContainerSpecSchema) }))
      .id;
  const [first, second] = [await start(), await start()];
  const client = await connectOverHttp(sessions, "auto");
  const complete = async (value: string) =>
    (
      await client.complete({
        ref: { type: "ref/prompt", name: "review-and-apply" },
        argument: { name: "arguments", value },
      })
    ).completion.values;
  expect(await complete("ses_")).toEqual([second, first]);
  expect(await complete(first.slice(-6).toLowerCase())).toEqual([first]);
  expect(await complete("another")).toEqual([]);
  await client.close();
});
