import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { containerConfig } from "../../host/runtime/docker/container-config.ts";
import { docker } from "../support/docker.ts";
import { CATALOG } from "./catalog.ts";

const START_AGENT = fileURLToPath(new URL("../../agent/examples/start-agent.sh", import.meta.url));
const readme = await readFile(new URL("../../agent/README.md", import.meta.url), "utf8");

/** Without what Markdown adds. */
const plain = (text: string) => text.replace(/`/g, "").replace(/\s+/g, " ").trim();

/** A capability as docker's client, or the engine, may write it: with CAP_ or without. */
const bareName = (capability: string) => capability.replace(/^CAP_/, "");

test("the README's rules are the suite's checks, word for word", () => {
  const rules = [...readme.matchAll(/^- \*\*(.+?)\*\*/gms)].map(([, rule]) => plain(rule!));
  expect(rules.toSorted()).toEqual(CATALOG.map(({ rule }) => plain(rule)).toSorted());
});

test("the README shows the script that starts an agent, whole", async () => {
  const script = await readFile(START_AGENT, "utf8");
  const commands = script.split("\n").filter((line) => !line.startsWith("#"));
  const shown = readme.split("\n").filter((line) => !line.startsWith("#"));
  expect(shown.join("\n")).toContain(commands.join("\n"));
});

test("the script starts a container as the host does", async () => {
  const { stdout } = await promisify(execFile)(START_AGENT, [], { env: process.env });
  const container = stdout.trim();
  try {
    const [inspected] = JSON.parse(await docker("inspect", container)) as {
      Config: { Image: string; User: string; Env: string[] };
      HostConfig: Record<string, unknown>;
    }[];
    const { Config: config, HostConfig: given } = inspected!;
    const uidSetting = config.Env.find((entry) => entry.startsWith("CLAUDECLUSTER_SESSION_UID="))!;
    const sessionUid = Number(uidSetting.split("=")[1]);
    expect(sessionUid).toSatisfy((uid) => uid >= 20_000 && uid < 21_000);
    const memoryBytes = 2 * 2 ** 30;
    const limits = { memoryBytes, cpuCount: 2, workspaceSizeBytes: memoryBytes / 2 };
    const expected = containerConfig({
      key: "",
      shape: { image: config.Image, ...limits },
      sessionUid,
      owner: { hostId: "", version: "" },
      imageVolumes: [],
      limitsCpu: true,
      filtersSystemCalls: true,
    });
    expect(config.User).toBe(expected.User);
    expect(config.Env).toEqual(expect.arrayContaining(expected.Env!));
    const { CapAdd: capabilities = [], ...rest } = expected.HostConfig!;
    expect(given).toMatchObject(rest);
    expect(given["Tmpfs"]).toEqual(rest.Tmpfs);
    expect((given["CapAdd"] as string[]).map(bareName).toSorted()).toEqual(capabilities.map(bareName).toSorted());
  } finally {
    await docker("rm", "--force", "--volumes", container);
  }
});
