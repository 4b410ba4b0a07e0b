import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CLAIMABLE_VERSIONS } from "../../agent/claude/spare.ts";
import { ContainerSpecSchema, RepositorySpecSchema, type SessionEvent, SessionSpecSchema } from "../../proto/index.ts";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { eachEvent } from "../support/each-event.ts";
import { maskedRequests } from "../support/masked-requests.ts";
import { startSealedSession } from "../support/sealed-session.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

let rig: HostRig;
beforeAll(async () => {
  rig = await startHostRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

type Spec = MessageInitShape<typeof SessionSpecSchema>;

/** Runs a session to its end, and returns its events and what it has asked the model. */
async function run(spec: Spec): Promise<{
  events: SessionEvent[];
  asked: string[];
  started: boolean | undefined;
  prepared: boolean | undefined;
  mayWait: boolean;
}> {
  const before = rig.model.requests.length;
  const { id } = await rig.sessions.create({
    spec: create(SessionSpecSchema, spec),
    container: create(ContainerSpecSchema),
  });
  const events: SessionEvent[] = [];
  const signal = AbortSignal.timeout(60_000);
  for await (const event of eachEvent(rig.sessions.watch(id, { afterSequence: 0, signal }))) events.push(event);
  const ready = events.flatMap(({ event }) => (event.case === "workspaceReady" ? [event.value] : []));
  const asked = maskedRequests(rig.model.requests.slice(before));
  const [claude] = events.flatMap(({ event }) => (event.case === "claudeReady" ? [event.value] : []));
  const mayWait = CLAIMABLE_VERSIONS.includes(claude?.claudeVersion ?? "");
  return { events, asked, started: ready[0]?.claudeStarted, prepared: ready[0]?.claudePrepared, mayWait };
}

test("a Claude that was started beside the clone asks the model exactly what one does that was started after it", async () => {
  const files = {
    ...SMALL_REPOSITORY,
    "CLAUDE.md": "Always greet in Latin.\n",
    ".claude/skills/x/SKILL.md": "---\nname: x\n---\n",
  };
  const uri = await rig.git.addRepository("instructed", files);
  const spec = { task: "[scenario: small-edit]", repository: create(RepositorySpecSchema, { uri }) };
  const early = await run(spec);
  // What an agent is told before it is reached, others may read; a variable may be a secret.
  const secret = await run({ ...spec, environment: { TOKEN: "x" } });
  const setup = { command: "true", timeout: durationFromMs(60_000) };
  const late = await run({ ...spec, setup });
  expect([early.started, secret.started, late.started]).toEqual([early.mayWait, early.mayWait, false]);
  expect([early.prepared, secret.prepared, late.prepared]).toEqual([early.mayWait, false, false]);
  expect(early.asked.length).toBeGreaterThan(1);
  expect(early.asked).toEqual(late.asked);
  for (const told of ["Always greet in Latin.", "Is a git repository: true", "Current branch: main", " Start"]) {
    expect(early.asked[0]).toContain(told);
  }
  // The one that was started is the one that worked.
  const { container } = await startSealedSession(rig, {
    ...spec,
    repository: uri,
    until: "turnFinished",
    idleMs: 60_000,
  });
  const { stderr: logged } = await promisify(execFile)("docker", ["logs", container]);
  expect(logged.includes("Claude had been started before its files were there")).toBe(early.mayWait);
});

test("without a repository, it waits for an empty one", async () => {
  const early = await run({ task: "[scenario: small-edit]" });
  const late = await run({
    task: "[scenario: small-edit]",
    setup: { command: "true", timeout: durationFromMs(60_000) },
  });
  expect([early.started, late.started]).toEqual([early.mayWait, false]);
  expect(early.asked).toEqual(late.asked);
});

test("a clone that fails is what the session fails with, and the model is asked nothing", async () => {
  const repository = create(RepositorySpecSchema, { uri: rig.repository, ref: "no-such-branch" });
  const { events, asked } = await run({ task: "[scenario: small-edit]", repository });
  expect(events.at(-1)?.event.value).toMatchObject({ result: { outcome: { value: { reason: "REF_NOT_FOUND" } } } });
  expect(asked).toEqual([]);
});
