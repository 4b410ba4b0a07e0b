import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  ContainerSpecSchema,
  RepositorySpecSchema,
  type SessionEvent,
  Session_State,
  SessionSpecSchema,
} from "../../proto/index.ts";
import { readPatch } from "../../host/present/read-session.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { applyPatch } from "../support/apply-patch.ts";
import { docker } from "../support/docker.ts";
import { startHostRig } from "../support/rig.ts";
import { eachEvent } from "../support/each-event.ts";

async function startHost() {
  const rig = await startHostRig();
  const { sessions, repository: uri } = rig;
  return {
    model: rig.model,
    sessions,
    bareRepository: rig.git.directoryOf("greeter"),
    async run(
      spec: { task: string; previousSessionId?: string },
      act?: (event: SessionEvent, sessionId: string) => Promise<unknown> | undefined,
    ) {
      const repository = create(RepositorySpecSchema, { uri });
      const { id } = await sessions.create({
        spec: create(SessionSpecSchema, { ...spec, ...(spec.previousSessionId === undefined && { repository }) }),
        container: create(ContainerSpecSchema),
      });
      const events: SessionEvent[] = [];
      for await (const event of eachEvent(
        sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(90_000) }),
      )) {
        events.push(event);
        await act?.(event, id);
      }
      return { id, events, session: await sessions.get(id), patch: await readPatch(sessions, id) };
    },
    [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
  };
}

test("a finished session is continued in a new container: its changes are there and its conversation goes on", async () => {
  await using host = await startHost();
  const first = await host.run({ task: "[scenario: write-files] Remember the word ALBATROSS." });
  expect(first.session.state, JSON.stringify(first.session.result?.outcome)).toBe(Session_State.SUCCEEDED);
  const before = await applyPatch(host.bareRepository, first.patch);
  const seen = host.model.requests.length;

  const second = await host.run({ task: "[scenario: small-edit] Now this.", previousSessionId: first.id });
  expect(second.session.state, JSON.stringify(second.session.result?.outcome)).toBe(Session_State.SUCCEEDED);
  const restored = second.events.find(({ event }) => event.case === "sessionRestored");
  expect(restored?.event.value).toMatchObject({ conversationRestored: true });
  expect(second.session.conversationId).toBe(first.session.conversationId);
  const asked = JSON.stringify(host.model.requests.slice(seen).map(({ body }) => body));
  expect(asked).toContain("ALBATROSS");
  // The patch is against the same commit, so that one of them is all there is to apply.
  const after = await applyPatch(host.bareRepository, second.patch);
  const added = Object.keys(before).filter((path) => !(path in SMALL_REPOSITORY));
  expect(added.length).toBeGreaterThan(0);
  for (const path of added) expect(after[path]).toBe(before[path]);
  expect(second.session.result!.changeCount).toBeGreaterThan(first.session.result!.changeCount);
});

test("a session whose container was killed is continued from the changes that had been streamed", async () => {
  await using host = await startHost();
  let removed: Promise<unknown> | undefined;
  const first = await host.run({ task: "[scenario: long-run seconds=60 steps=30]" }, ({ event }, id) => {
    if (event.case !== "filePatched" || removed !== undefined) return undefined;
    removed = host.sessions.get(id).then(({ containerId }) => docker("rm", "-f", containerId));
    return removed;
  });
  expect(first.session.state).toBe(Session_State.FAILED);
  const before = await applyPatch(host.bareRepository, first.patch);
  const second = await host.run({ task: "[scenario: small-edit] Go on.", previousSessionId: first.id });
  expect(second.session.state, JSON.stringify(second.session.result?.outcome)).toBe(Session_State.SUCCEEDED);
  const restored = second.events.find(({ event }) => event.case === "sessionRestored");
  expect(restored?.event.value).toMatchObject({ conversationRestored: false });
  const after = await applyPatch(host.bareRepository, second.patch);
  expect(after["progress/log.txt"]).toBe(before["progress/log.txt"]);
});

test("what cannot be continued is refused with what to do instead", async () => {
  await using host = await startHost();
  const refused = host.run({ task: "Go on.", previousSessionId: "ses_NONE" });
  await expect(refused).rejects.toMatchObject({ reason: "PREVIOUS_SESSION_NOT_FOUND", kind: "NOT_FOUND" });
});
