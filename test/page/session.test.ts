import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { ContainerSpecSchema, RepositorySpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { byHeart } from "../model/by-heart.ts";
import { openBrowser } from "../support/browser.ts";
import { openPage } from "../support/page.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

const call = (...calls: readonly object[]) => `[scenario: call-tools ${JSON.stringify(calls)}]`;
const bash = (command: string, description: string) => ({ name: "Bash", input: { command, description } });
const question = {
  question: "Which greeting?",
  header: "Greeting",
  options: [
    { label: "Hello", description: "Use Hello" },
    { label: "Bonjour", description: "Use Bonjour" },
  ],
  multiSelect: false,
};
const SCRIPT = byHeart({
  "Greet the world": call(
    bash("echo hello > greeting.txt", "Write the greeting"),
    bash("rm -rf /", "Clean up"),
    { name: "AskUserQuestion", input: { questions: [question] } },
    bash("curl -sS https://example.com/", "Look outside"),
  ),
  "Take your time": call(bash("sleep 60", "Wait")),
});

const stack = new AsyncDisposableStack();
let rig: HostRig;
let browser: Browser;
beforeAll(async () => {
  rig = stack.use(await startHostRig({ scenarios: [SCRIPT] }));
  browser = stack.use(await openBrowser());
});
afterAll(() => stack.disposeAsync());

async function start(task: string): Promise<string> {
  const spec = create(SessionSpecSchema, {
    task,
    permissionMode: "default",
    idleTimeout: durationFromMs(60_000),
    repository: create(RepositorySpecSchema, { uri: rig.repository }),
  });
  return (await rig.sessions.create({ spec, container: create(ContainerSpecSchema), requestId: "" })).id;
}

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

test("a session is watched and steered on its page", async () => {
  const id = await start("Greet the world");
  await using opened = await openPage(rig.place, browser);
  const { page, problems } = opened;
  await page.goto(new URL(`/#/session/${id}`, page.url()).href);
  await page.getByRole("heading", { name: "May Claude use Bash?" }).waitFor();
  await button(page, "Allow once").click();
  await page.getByText("rm -rf /").first().waitFor();
  await page.getByLabel("Note to Claude").fill("Never that.");
  await button(page, "Deny").click();
  await page.getByRole("radio", { name: /^Bonjour/ }).check();
  await button(page, "Answer").click();
  await page.getByText("curl -sS").first().waitFor();
  await button(page, "Allow once").click();
  await page.getByText("example.com:443").first().waitFor();
  await page.getByLabel("Message to Claude").fill("Take your time");
  await button(page, "Send").click();
  await button(page, "Interrupt").click();
  await page.getByText("Turn 2 was interrupted").waitFor();
  await button(page, "Stop…").click();
  await button(page, "Stop it").click();
  await page.getByRole("heading", { name: "Result" }).waitFor();
  expect(problems).toEqual([]);
});
