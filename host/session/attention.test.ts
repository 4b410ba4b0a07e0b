import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test, vi } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import {
  ContainerSpecSchema,
  type EventBody,
  PermissionRequestedSchema,
  SessionSpecSchema,
  Session_State,
  StateChangedSchema,
} from "../../proto/index.ts";
import { type AttentionOptions, watchAttention } from "./attention.ts";
import type { Sessions } from "./sessions.ts";

const start = async (sessions: Sessions, spec: MessageInitShape<typeof SessionSpecSchema> = {}) =>
  (
    await sessions.create({
      spec: create(SessionSpecSchema, { task: "x", ...spec }),
      container: create(ContainerSpecSchema),
    })
  ).id;

const state = (to: Session_State): EventBody => ({
  case: "stateChanged",
  value: create(StateChangedSchema, { state: to }),
});
const permission = (requestId: string): EventBody => ({
  case: "permissionRequested",
  value: create(PermissionRequestedSchema, { requestId, toolName: "Bash" }),
});

/** Watches in the background, and notes what is told. */
function watching(sessions: Pick<Sessions, "get" | "watchAll">, options: Partial<AttentionOptions> = {}) {
  const over = new AbortController();
  const told: string[] = [];
  const begun = Promise.withResolvers<undefined>();
  const observed: typeof sessions = {
    get: (id) => sessions.get(id),
    async *watchAll(request) {
      for await (const news of sessions.watchAll(request)) {
        yield news;
        if (news.case === "updates") begun.resolve(undefined);
      }
      return undefined;
    },
  };
  const watch = async () => {
    for await (const { session, attention } of watchAttention(observed, { ...options, signal: over.signal })) {
      told.push(`${session.id} ${attention}`);
    }
  };
  const ended = watch();
  return {
    begun: begun.promise,
    has: (...lines: string[]) => vi.waitFor(() => expect(told).toEqual(lines), { interval: 10, timeout: 5_000 }),
    async [Symbol.asyncDispose]() {
      over.abort();
      await ended;
    },
  };
}

test("tells of each end and each time that a session begins to need somebody, once, and of nothing else", async () => {
  using sessions = new MemorySessions();
  const before = await start(sessions);
  sessions.finish(before);
  const [good, bad] = [await start(sessions), await start(sessions)];
  const idle = await start(sessions, { idleTimeout: durationFromMs(60_000) });
  sessions.say(good, permission("early"), state(Session_State.WAITING));
  await using watch = watching(sessions);
  await watch.begun;
  // Passed through between two turns, and nobody's business.
  sessions.say(bad, state(Session_State.RUNNING), state(Session_State.IDLE));
  sessions.say(idle, state(Session_State.IDLE));
  await watch.has(`${idle} needs_you`);
  sessions.say(good, permission("second"));
  await watch.has(`${idle} needs_you`, `${good} needs_you`);
  sessions.fail(bad, "CLAUDE_FAILED");
  sessions.finish(good);
  await watch.has(`${idle} needs_you`, `${good} needs_you`, `${bad} failed`, `${good} finished`);
});

test("tells at first of those that need somebody already, where that is asked for", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  sessions.say(id, permission("1"), state(Session_State.WAITING));
  await using watch = watching(sessions, { alsoNow: true });
  await watch.has(`${id} needs_you`);
});

test("a host that starts again tells nothing twice, and what has ended meanwhile", async () => {
  using sessions = new MemorySessions();
  const [waits, ends] = [await start(sessions), await start(sessions)];
  sessions.say(waits, permission("1"), state(Session_State.WAITING));
  const restarted = Promise.withResolvers<undefined>();
  // The next host has other cursors, and sends what is live then.
  const twice: Pick<Sessions, "get" | "watchAll"> = {
    get: (id) => sessions.get(id),
    async *watchAll(request) {
      for await (const news of sessions.watchAll(request)) {
        yield news;
        if (news.case === "updates" && news.value.caughtUp) break;
      }
      await restarted.promise;
      return yield* sessions.watchAll(request);
    },
  };
  await using watch = watching(twice, { alsoNow: true });
  await watch.has(`${waits} needs_you`);
  sessions.fail(ends, "CONTAINER_LOST");
  restarted.resolve(undefined);
  await watch.has(`${waits} needs_you`, `${ends} failed`);
});
