import { expect, test } from "vitest";
import { EXIT_CODES } from "../../agent/exit-codes.ts";
import {
  Artifact_Kind,
  type ArtifactKind,
  AttachStart_Role as Role,
  Session_State as State,
} from "../../proto/index.ts";
import { attach, kinds, serveModel } from "./agent-rig.ts";
import { readArtifact } from "./artifacts.ts";
import { startLiveAgent } from "./live-agent.ts";

const ABSENCE_MS = 6_000;

test("keeps what a session left that finished while no host was there, until it is read, and then leaves", async () => {
  await using live = await startLiveAgent({ config: { hostAbsenceTimeoutMs: ABSENCE_MS } });
  const { rig, model } = live;
  const exited = rig.agent.exited.then(({ exitCode }) => ({ exitCode, at: Date.now() }));
  await live.start("[scenario: small-edit] alone");
  {
    await using owner = attach(live.connection);
    await owner.event("turnStarted");
  }
  await live.disconnect();
  // Somebody who only watches is no host.
  const watcher = rig.connect();
  await using observer = attach(watcher, { role: Role.OBSERVER });
  await observer.event("claudeReady");
  {
    // A host comes for a moment, so that Claude can be done, and goes again.
    await using _serving = serveModel(watcher, model.url);
    await observer.done;
  }
  const gone = Date.now();
  await new Promise((resolve) => setTimeout(resolve, ABSENCE_MS / 2));
  const back = rig.connect();
  await using owner = attach(back);
  await owner.done;
  expect(kinds(owner.events)).toBe(kinds(observer.events));
  const { session } = await back.client.getSession({});
  expect(session).toMatchObject({ state: State.SUCCEEDED, result: { changeCount: 1 } });
  const read = async (kind: ArtifactKind) => BigInt((await readArtifact(back.client, kind)).length);
  expect(await read(Artifact_Kind.PATCH)).toBe(session!.result!.patchSizeBytes);
  expect(await read(Artifact_Kind.TRANSCRIPT)).toBe(session!.result!.transcriptSizeBytes);
  const { exitCode, at } = await exited;
  expect(exitCode).toBe(EXIT_CODES.hostAbsent);
  // Since it was read, not since the host had gone before.
  expect(at - gone).toBeGreaterThan(ABSENCE_MS * 1.4);
});

test("waits for its host with work that needs one, and gives it up when none comes, its changes kept to the end", async () => {
  await using live = await startLiveAgent({ config: { hostAbsenceTimeoutMs: 3_000 } });
  await live.start("[scenario: long-run seconds=60 steps=60]");
  await using observer = attach(live.rig.connect(), { role: Role.OBSERVER });
  await observer.event("filePatched");
  await live.disconnect();
  await observer.done;
  const { event } = observer.events.at(-1)!;
  expect(event).toMatchObject({ case: "sessionFinished", value: { state: State.CANCELED } });
  expect(event.case === "sessionFinished" && event.value.result!.changeCount).toBeGreaterThan(0);
  expect(event.case === "sessionFinished" && event.value.result!.outcome).toMatchObject({
    case: "cancellation",
    value: { reason: "No host was there for 3 s." },
  });
  expect((await live.rig.agent.exited).exitCode).toBe(EXIT_CODES.hostAbsent);
});
