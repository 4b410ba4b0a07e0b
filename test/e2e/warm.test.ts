import { create } from "@bufbuild/protobuf";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WarmPool } from "../../proto/control.ts";
import {
  ContainerSpecSchema,
  RepositorySpecSchema,
  type SessionEvent,
  SessionSpecSchema,
  Session_State,
} from "../../proto/index.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { containersGone } from "../support/containers-gone.ts";
import { containersOf, docker } from "../support/docker.ts";
import { eachEvent } from "../support/each-event.ts";
import { maskedRequests } from "../support/masked-requests.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

const IMAGE = process.env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest";
const TAKEN = expect.stringMatching(/^A prepared container was taken \(\d+ s old\)\.$/) as string;

let rig: HostRig;
beforeAll(async () => {
  rig = await startHostRig({ config: { warm: 1 } });
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

async function start(
  { sessions, repository }: HostRig,
  { task = "Say hello", uri = repository, image = "", memoryBytes = 0n } = {},
): Promise<string> {
  const spec = create(SessionSpecSchema, { task, repository: create(RepositorySpecSchema, { uri }) });
  return (await sessions.create({ spec, container: create(ContainerSpecSchema, { image, memoryBytes }) })).id;
}

/** What a session's timeline says to its end. */
async function follow(
  { sessions }: HostRig,
  id: string,
): Promise<{ events: SessionEvent[]; steps: string[]; containerIds: string[] }> {
  const events: SessionEvent[] = [];
  const signal = AbortSignal.timeout(120_000);
  for await (const event of eachEvent(sessions.watch(id, { afterSequence: 0, signal }))) events.push(event);
  const progress = events.flatMap(({ event }) => (event.case === "containerProgress" ? [event.value] : []));
  const containerIds = progress.flatMap(({ containerId }) => (containerId === "" ? [] : [containerId]));
  return { events, steps: progress.map(({ message }) => message), containerIds };
}

async function run(of: HostRig, options?: Parameters<typeof start>[1]): ReturnType<typeof follow> {
  const id = await start(of, options);
  const followed = await follow(of, id);
  expect((await of.sessions.get(id)).state).toBe(Session_State.SUCCEEDED);
  return followed;
}

async function pool({ link }: HostRig): Promise<WarmPool | undefined> {
  return (await link.find())?.warmPool;
}

/** The container that is ready, once one is and those of sessions are gone. */
async function readyContainer(of: HostRig): Promise<string> {
  await expect.poll(() => pool(of), { timeout: 60_000 }).toMatchObject({ readyCount: 1, makingCount: 0 });
  await expect.poll(() => containersOf(of.place), { timeout: 30_000 }).toHaveLength(1);
  return (await containersOf(of.place))[0]!;
}

test("a session takes the container that was prepared, in which Claude waits", async () => {
  const { place, model } = rig;
  const first = await run(rig);
  expect(first.steps).toContain("No prepared container: none yet.");
  const ready = await readyContainer(rig);
  const known = model.requests.length;
  const list = await claudecluster(place, ["list", "--json"]);
  expect(JSON.parse(list.stdout)).toHaveLength(1);
  expect((await claudecluster(place, ["status"])).stdout).toMatch(
    /^warm +1 of 1 ready \(\d+ MiB\); 0 taken; 1 missed: none yet 1$/m,
  );

  const second = await run(rig);
  expect(second.containerIds).toEqual([ready]);
  expect(second.steps).toContainEqual(TAKEN);
  expect(second.events).toContainEqual(
    expect.objectContaining({
      event: expect.objectContaining({
        case: "workspaceReady",
        value: expect.objectContaining({ claudePrepared: true }) as object,
      }) as object,
    }),
  );
  // It had asked the model nothing before.
  expect(model.requests.slice(known).length).toBeGreaterThan(0);
  const status = JSON.parse((await claudecluster(place, ["status", "--json"])).stdout) as { warm: object };
  expect(status.warm).toMatchObject({
    size: 1,
    hits: 1,
    misses: { "none yet": 1 },
    last_age_seconds: expect.any(Number) as number,
  });
  expect((await claudecluster(place, ["doctor"])).stdout).toContain("; 1 taken, the last one ");
  expect(await readyContainer(rig)).not.toBe(ready);
});

test("it has nothing of the session before: no instructions or settings of its repository, and no credential that was replaced", async () => {
  await using own = await startHostRig({ config: { warm: 1, credential: { api_key: "sk-ant-of-yesterday" } } });
  const { git, model, place, sessions } = own;
  const repositoryOf = (name: string) =>
    git.addRepository(name, {
      ...SMALL_REPOSITORY,
      "CLAUDE.md": `Always greet in ${name}.\n`,
      ".claude/settings.json": JSON.stringify({ env: { GREETING: name }, permissions: { deny: ["Bash"] } }),
    });
  const before = await start(own, { uri: await repositoryOf("latin") });
  await follow(own, before);
  expect((await sessions.get(before)).state).toBe(Session_State.FAILED);
  const ready = await readyContainer(own);
  expect(await claudecluster(place, ["credential", "set"], { input: own.key })).toMatchObject({ code: 0 });

  const uri = await repositoryOf("greek");
  const task = "[scenario: small-edit]";
  const askedBy = async (options: { memoryBytes?: bigint }) => {
    const known = model.requests.length;
    const { steps, containerIds } = await run(own, { task, uri, ...options });
    return { steps, containerIds, asked: maskedRequests(model.requests.slice(known)) };
  };
  const warm = await askedBy({});
  const cold = await askedBy({ memoryBytes: 1024n ** 3n });
  expect(warm.containerIds).toEqual([ready]);
  expect(cold.steps).toContainEqual(expect.stringMatching(/^No prepared container: /));
  expect(warm.asked[0]).toContain("Always greet in greek.");
  expect(warm.asked.join()).not.toContain("latin");
  expect(warm.asked).toEqual(cold.asked);
});

test("one that is killed, paused or whose agent is stopped is removed, and the session has a new one", async () => {
  const harms: Record<string, (id: string) => Promise<unknown>> = {
    kill: (id) => docker("kill", id),
    pause: (id) => docker("pause", id),
    stop: async (id) => process.kill(await agentPid(id), "SIGSTOP"),
  };
  await run(rig);
  for (const [how, harm] of Object.entries(harms)) {
    const ready = await readyContainer(rig);
    await harm(ready);
    const { steps, containerIds } = await run(rig);
    expect(steps, how).toContainEqual(expect.stringMatching(/^No prepared container: (did not answer|none yet)\.$/));
    expect(containerIds).not.toContain(ready);
    await expect.poll(() => containersOf(rig.place), { timeout: 30_000 }).not.toContain(ready);
  }
});

async function agentPid(id: string): Promise<number> {
  const lines = (await docker("top", id, "-eo", "pid,args")).split("\n");
  return Number.parseInt(
    lines.find((line) => line.includes("agent.blob") && !line.includes("docker-init"))!,
    10,
  );
}

test("a session of an image that was built anew does not get a container of the one before", async () => {
  const image = `claudecluster/warm-test:${process.pid}`;
  await docker("tag", IMAGE, image);
  try {
    await using own = await startHostRig({ config: { warm: 1, image } });
    await run(own);
    const ready = await readyContainer(own);
    await build(image);
    const { steps, containerIds } = await run(own);
    expect(steps).toContain("No prepared container: other image.");
    expect(containerIds).not.toContain(ready);
    await own.link.stopHost({ onlyWithoutLiveSessions: true });
    await containersGone(own.place);
  } finally {
    await docker("rmi", image);
  }
});

/** Builds an image anew from the one that is there. */
async function build(image: string): Promise<void> {
  const building = promisify(execFile)("docker", ["build", "--tag", image, "-"]);
  building.child.stdin!.end(`FROM ${IMAGE}\nLABEL warm-test=${process.pid}\n`);
  await building;
}

test("a host that is killed in the middle of a claim loses no session, gives none away twice and leaves nothing", async () => {
  await using own = await startHostRig({ config: { warm: 1 } });
  const used: string[] = [];
  await run(own);
  for (const waitMs of [0, 5, 15, 40, 100]) {
    await readyContainer(own);
    const { processId } = (await own.link.find())!;
    const id = await start(own, { task: `after ${waitMs} ms [scenario: long-run seconds=2 steps=2]` });
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    process.kill(processId, "SIGKILL");
    await own.link.gone();
    await own.link.connect();
    const { containerIds } = await follow(own, id);
    expect((await own.sessions.get(id)).state, `killed after ${waitMs} ms`).toBe(Session_State.SUCCEEDED);
    expect(containerIds).toHaveLength(1);
    used.push(...containerIds);
  }
  expect(new Set(used).size).toBe(used.length);
  await own.link.stopHost({ onlyWithoutLiveSessions: true });
  await containersGone(own.place);
});

test("a host that was idle for long ends, and what it had prepared is gone", async () => {
  await using own = await startHostRig({ config: { warm: 1, idle_timeout_seconds: 1 } });
  await run(own);
  own.link[Symbol.dispose]();
  await own.link.gone();
  expect(await containersOf(own.place)).toEqual([]);
});
