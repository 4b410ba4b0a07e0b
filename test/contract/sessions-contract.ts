import { Readable } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { readPatch } from "../../host/present/read-session.ts";
import type { Sessions, WatchSessionsRequest } from "../../host/session/sessions.ts";
import { LIVE_STATES } from "../../host/session/states.ts";
import type { SessionUpdates } from "../../proto/control.ts";
import {
  AssistantTextSchema,
  ContainerSpecSchema,
  type EventBody,
  type FileChange,
  FileChange_Kind,
  FileChangeSchema,
  FilePatchedSchema,
  MessageQueuedSchema,
  PermissionRequestedSchema,
  QuestionAskedSchema,
  type Session,
  type SessionEvent,
  Session_State,
  SessionSpecSchema,
  StateChangedSchema,
  TakenChanges_Kind,
  TurnStartedSchema,
} from "../../proto/index.ts";
import { eachEvent } from "../support/each-event.ts";

/** What makes things happen in sessions, and has seen what was asked of them. */
export interface SessionsDriver {
  /** Something happens to a session; stored when it resolves. */
  say(sessionId: string, ...events: EventBody[]): Promise<void> | void;
  /** A session ends well, with this patch. */
  finish(sessionId: string, patch?: Uint8Array, changes?: FileChange[]): Promise<void> | void;
  readonly messages: readonly string[];
  /** Ids of sessions. */
  readonly interrupted: readonly string[];
  /** How many events readers have been given. */
  readonly readCount: number;
  /** Readers that have not been left. */
  readonly watcherCount: number;
  /** Readers of all sessions that have not been left. */
  readonly feedReaderCount: number;
}

/** Sessions to be held against the contract, and what drives them. */
export interface SessionsHarness extends AsyncDisposable {
  sessions: Sessions;
  driver: SessionsDriver;
}

/** Something that Claude says. */
export function saying(text: string): EventBody {
  return { case: "assistantText", value: create(AssistantTextSchema, { text }) };
}

function inState(state: Session_State): EventBody {
  return { case: "stateChanged", value: create(StateChangedSchema, { state }) };
}

function turn(turn: number): EventBody {
  return { case: "turnStarted", value: create(TurnStartedSchema, { turn }) };
}

function queued(waitingCount: number): EventBody {
  return { case: "messageQueued", value: create(MessageQueuedSchema, { waitingCount }) };
}

const request = (task: string, { maxTurnCount = 0 } = {}) => ({
  spec: create(SessionSpecSchema, { task, maxTurnCount }),
  container: create(ContainerSpecSchema),
});

/** Reader of all sessions, with what it has come to know. */
class FeedReader {
  readonly known = new Map<string, Session>();
  readonly removed: string[] = [];
  /** What each hello said of having gone on. */
  readonly hellos: boolean[] = [];
  readonly batchLengths: number[] = [];
  cursor = "";
  snapshotCount = 0;
  readonly #feed: ReturnType<Sessions["watchAll"]>;

  constructor(sessions: Sessions, request: Omit<WatchSessionsRequest, "signal">) {
    this.#feed = sessions.watchAll({ ...request, signal: AbortSignal.timeout(20_000) });
  }

  stateOf(id: string): Session_State | undefined {
    return this.known.get(id)?.state;
  }

  /** Reads on until something is so. Returns the batch with which it was. */
  async until(holds: (batch: SessionUpdates) => boolean): Promise<SessionUpdates> {
    for (;;) {
      const { value: news } = await this.#feed.next();
      if (news === undefined) throw new Error("the stream has ended");
      if (news.case === "hello") {
        this.hellos.push(news.value.resumed);
        continue;
      }
      // Before it there is a hello.
      expect(this.hellos).not.toEqual([]);
      const { sessions, removedSessionIds, cursor } = news.value;
      for (const session of sessions) this.known.set(session.id, session);
      this.removed.push(...removedSessionIds);
      this.batchLengths.push(sessions.length);
      this.snapshotCount += sessions.length;
      this.cursor = cursor;
      if (holds(news.value)) return news.value;
    }
  }

  /** Leaves the stream as a loop that is broken does. */
  async leave(): Promise<void> {
    await this.#feed.return(undefined);
  }
}

/** What every implementation of Sessions promises to the boundaries. */
export function sessionsContract(start: () => Promise<SessionsHarness>): void {
  /** Reads to the end of the log. */
  const readAll = async (sessions: Sessions, id: string, afterSequence = 0) => {
    const events: SessionEvent[] = [];
    for await (const event of eachEvent(sessions.watch(id, { afterSequence, signal: AbortSignal.timeout(20_000) }))) {
      events.push(event);
    }
    return events;
  };

  /** Stops a session and waits for its end. */
  const end = async (sessions: Sessions, id: string, reason: string) => {
    await sessions.stop(id, { reason });
    return await readAll(sessions, id);
  };

  test("creates a session, and the same one for the same request id", async () => {
    await using harness = await start();
    const { sessions } = harness;
    const first = await sessions.create({ ...request("one"), parent: "ses_PARENT", requestId: "r1" });
    expect(first).toMatchObject({ parent: "ses_PARENT", spec: { task: "one" } });
    expect(first.lastSequence).toBeGreaterThan(0);
    expect((await sessions.create({ ...request("one"), requestId: "r1" })).id).toBe(first.id);
    expect((await sessions.create(request("one"))).id).not.toBe(first.id);
    expect((await sessions.get(first.id)).id).toBe(first.id);
  });

  test("says what is wrong, with reason, kind and help", async () => {
    await using harness = await start();
    const { sessions } = harness;
    await expect(sessions.create(request(" "))).rejects.toMatchObject({
      name: "AppError",
      reason: "TASK_EMPTY",
      kind: "INVALID_ARGUMENT",
      message: "The task is empty.",
      help: "Say what Claude is to do.",
    });
    const { id } = await sessions.create(request("x"));
    await expect(sessions.delete(id)).rejects.toMatchObject({ reason: "SESSION_LIVE", kind: "FAILED_PRECONDITION" });
    await end(sessions, id, "enough");
    await expect(sessions.sendMessage(id, { text: "more" })).rejects.toMatchObject({ reason: "SESSION_OVER" });
    await expect(sessions.list({ pageSize: 0 })).rejects.toMatchObject({ kind: "INVALID_ARGUMENT" });
    for (const pageToken of ["2", "ses_x", `${id} `]) {
      await expect(sessions.list({ pageToken })).rejects.toMatchObject({
        reason: "PAGE_TOKEN_INVALID",
        kind: "INVALID_ARGUMENT",
      });
    }
    const unknown = {
      reason: "SESSION_NOT_FOUND",
      kind: "NOT_FOUND",
      metadata: { session_id: "ses_NONE" },
      help: expect.stringMatching(/list_sessions.*claudecluster list/) as string,
    };
    await expect(sessions.get("ses_NONE")).rejects.toMatchObject(unknown);
    await expect(sessions.stop("ses_NONE", { reason: "" })).rejects.toMatchObject(unknown);
    await expect(readPatch(sessions, "ses_NONE")).rejects.toMatchObject(unknown);
    await expect(readAll(sessions, "ses_NONE")).rejects.toMatchObject(unknown);
  });

  test("lists newest first, page by page, by state and by parent", async () => {
    await using harness = await start();
    const { sessions } = harness;
    const ids: string[] = [];
    for (let index = 0; index < 5; index++) {
      const { id } = await sessions.create({ ...request(`task ${index}`), parent: index % 2 === 0 ? "even" : "odd" });
      ids.push(id);
    }
    const newestFirst = ids.toReversed();
    const first = await sessions.list({ pageSize: 3 });
    expect(first.sessions.map(({ id }) => id)).toEqual(newestFirst.slice(0, 3));
    const second = await sessions.list({ pageSize: 3, pageToken: first.nextPageToken });
    expect(second.sessions.map(({ id }) => id)).toEqual(newestFirst.slice(3));
    expect(second.nextPageToken).toBe("");
    expect((await sessions.list({ parent: "odd" })).sessions).toHaveLength(2);
    await end(sessions, ids[1]!, "enough");
    const canceled = await sessions.list({ states: [Session_State.CANCELED] });
    expect(canceled.sessions.map(({ id }) => id)).toEqual([ids[1]]);
  });

  test("watchers get every event once and in order, live and late, and end after the last one", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x"));
    const seen = Promise.withResolvers<undefined>();
    const live = (async () => {
      const texts: string[] = [];
      for await (const { event } of eachEvent(
        sessions.watch(id, { afterSequence: 1, signal: AbortSignal.timeout(20_000) }),
      )) {
        if (event.case === "assistantText") texts.push(event.value.text);
        if (texts.length === 1) seen.resolve(undefined);
      }
      return texts;
    })();
    const texts = Array.from({ length: 500 }, (_value, index) => `line ${index}`);
    await driver.say(id, saying(texts[0]!));
    // It comes without anything after it.
    await seen.promise;
    await driver.say(id, ...texts.slice(1).map(saying));
    await driver.finish(id);
    expect(await live).toEqual(texts);
    const late = await readAll(sessions, id);
    expect(late.map(({ sequence }) => sequence)).toEqual(late.map((_event, index) => index + 1));
    expect(late.at(-1)?.event.case).toBe("sessionFinished");
    expect((await readAll(sessions, id, 400)).at(0)?.sequence).toBe(401);
    expect(await readAll(sessions, id, late.length)).toEqual([]);
    expect(driver.watcherCount).toBe(0);
  });

  test("a watcher that is left, by break or by signal, is not kept", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x"));
    for await (const event of eachEvent(
      sessions.watch(id, { afterSequence: 0, signal: new AbortController().signal }),
    )) {
      expect(event.event.case).toBe("sessionStarted");
      break;
    }
    const abort = new AbortController();
    const waiting = (async () => {
      for await (const event of eachEvent(sessions.watch(id, { afterSequence: 0, signal: abort.signal }))) {
        if (event.event.case === "assistantText") throw new Error("nothing was said");
        abort.abort();
      }
    })();
    await waiting;
    await expect.poll(() => driver.watcherCount).toBe(0);
  });

  test("a watcher that stops reading costs a bounded number of events and holds up nobody", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x"));
    const patch = new Uint8Array(32 * 1024);
    const value = create(FilePatchedSchema, { patch, partCount: 1 });
    const stalled = sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(20_000) });
    await stalled.next();
    const count = 1000;
    await driver.say(id, ...Array.from({ length: count }, () => ({ case: "filePatched" as const, value })));
    await driver.finish(id);
    const { length: readByTheOther } = await readAll(sessions, id);
    expect(readByTheOther).toBeGreaterThan(count);
    // What fits into windows and the batches under way: far less than the 32 MB that there are.
    expect(driver.readCount - readByTheOther).toBeLessThan(400);
    await stalled.return(undefined);
  });

  test("tells of all sessions as they are, of each that changes or is new, and of what is removed", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const first = await sessions.create(request("one"));
    const feed = new FeedReader(sessions, {});
    await feed.until(({ caughtUp }) => caughtUp);
    expect(feed.hellos).toEqual([false]);
    expect(feed.stateOf(first.id)).toBeDefined();
    await driver.say(first.id, inState(Session_State.RUNNING));
    await feed.until(() => feed.stateOf(first.id) === Session_State.RUNNING);
    const second = await sessions.create({ ...request("two"), parent: "ses_PARENT" });
    await feed.until(() => feed.known.get(second.id)?.spec?.task === "two");
    await driver.finish(first.id);
    await feed.until(() => feed.stateOf(first.id) === Session_State.SUCCEEDED);
    expect(feed.known.get(first.id)).toMatchObject({ result: { outcome: { case: "success" } } });
    await sessions.delete(first.id);
    await feed.until(() => feed.removed.includes(first.id));
    await feed.leave();
    await expect.poll(() => driver.feedReaderCount).toBe(0);
  });

  test("tells of those sessions only that match, and once more of one that leaves the states", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const mine = await sessions.create({ ...request("mine"), parent: "me" });
    const other = await sessions.create(request("other"));
    const over = await sessions.create(request("over"));
    await driver.finish(over.id);
    await readAll(sessions, over.id);
    const states = LIVE_STATES;
    const readers = {
      byId: new FeedReader(sessions, { ids: [other.id, "ses_NONE"] }),
      byParent: new FeedReader(sessions, { parent: "me" }),
      live: new FeedReader(sessions, { states }),
      idle: new FeedReader(sessions, { states: [Session_State.IDLE] }),
    };
    for (const reader of Object.values(readers)) await reader.until(({ caughtUp }) => caughtUp);
    const ids = () => Object.fromEntries(Object.entries(readers).map(([name, { known }]) => [name, [...known.keys()]]));
    expect(ids()).toMatchObject({ byId: [other.id], byParent: [mine.id], idle: [] });
    expect(ids()["live"]?.toSorted()).toEqual([mine.id, other.id]);
    expect(readers.byId.removed).toEqual(["ses_NONE"]);
    for (const { id } of [mine, other]) await driver.say(id, inState(Session_State.IDLE));
    await readers.idle.until(() => readers.idle.known.size === 2);
    await driver.finish(mine.id);
    await driver.finish(other.id);
    const allEnded = (reader: FeedReader) =>
      reader.until(() => [...reader.known.values()].every(({ state }) => state === Session_State.SUCCEEDED));
    await Promise.all(Object.values(readers).map(allEnded));
    expect(ids()).toMatchObject({ byId: [other.id], byParent: [mine.id] });
    for (const { known } of [readers.live, readers.idle]) expect(known.size).toBe(2);
    for (const reader of Object.values(readers)) await reader.leave();
  });

  test("goes on at a cursor with what has changed since, and anew at one that it does not know", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const [quiet, busy, over] = [
      await sessions.create(request("quiet")),
      await sessions.create(request("busy")),
      await sessions.create(request("over")),
    ];
    for (const { id } of [quiet, busy, over]) await driver.say(id, inState(Session_State.IDLE));
    const states = LIVE_STATES;
    const first = new FeedReader(sessions, { states });
    await first.until(({ caughtUp }) => caughtUp);
    await first.leave();
    const nothing = new FeedReader(sessions, { states, cursor: first.cursor });
    expect(await nothing.until(({ caughtUp }) => caughtUp)).toMatchObject({ sessions: [], removedSessionIds: [] });
    await nothing.leave();
    await driver.say(busy.id, inState(Session_State.RUNNING));
    await driver.finish(over.id);
    await readAll(sessions, over.id);
    const later = new FeedReader(sessions, { states, cursor: first.cursor });
    await later.until(({ caughtUp }) => caughtUp);
    expect(later.hellos).toEqual([true]);
    expect([...later.known.keys()].toSorted()).toEqual([busy.id, over.id]);
    expect(later.stateOf(over.id)).toBe(Session_State.SUCCEEDED);
    await later.leave();
    for (const cursor of ["", "x", "another-life.1", `${first.cursor}000`]) {
      const anew = new FeedReader(sessions, { states, cursor });
      await anew.until(({ caughtUp }) => caughtUp);
      expect(anew.hellos).toEqual([false]);
      expect([...anew.known.keys()].toSorted()).toEqual([quiet.id, busy.id]);
      await anew.leave();
    }
  });

  test("sends more sessions than fit into a message, each once, and no cursor before all are told", async () => {
    await using harness = await start();
    const { sessions } = harness;
    const ids: string[] = [];
    for (let index = 0; index < 80; index++) ids.push((await sessions.create(request("x"))).id);
    for (const filter of [{}, { ids }]) {
      const feed = new FeedReader(sessions, filter);
      await feed.until(({ caughtUp, cursor }) => {
        expect(cursor === "").toBe(!caughtUp);
        return caughtUp;
      });
      expect(feed.batchLengths.slice(0, 3)).toEqual([32, 32, 16]);
      expect([...feed.known.keys()].toSorted()).toEqual(ids);
      await feed.leave();
    }
  });

  test("a slow reader of all sessions gets the newest of each, and holds up nobody", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x"));
    const other = await sessions.create(request("y"));
    const slow = new FeedReader(sessions, {});
    await slow.until(({ caughtUp }) => caughtUp);
    const states = [Session_State.RUNNING, Session_State.IDLE];
    for (let round = 0; round < 5; round++) {
      for (const sessionId of [id, other.id]) {
        await driver.say(sessionId, ...Array.from({ length: 100 }, (_, index) => inState(states[index % 2]!)));
      }
    }
    await driver.finish(id);
    const before = slow.snapshotCount;
    await slow.until(() => slow.stateOf(id) === Session_State.SUCCEEDED && slow.stateOf(other.id) === states[1]);
    // One of each, and what was told while the changes were made.
    expect(slow.snapshotCount - before).toBeLessThan(50);
    await slow.leave();
  });

  test("stops, interrupts, sends messages, and deletes", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x"));
    await driver.say(id, saying("I am at it"));
    for (const [text, reason] of [
      [" \n", "MESSAGE_EMPTY"],
      ["x".repeat(1024 * 1024 + 1), "MESSAGE_TOO_LONG"],
    ] as const) {
      await expect(sessions.sendMessage(id, { text })).rejects.toMatchObject({ reason, kind: "INVALID_ARGUMENT" });
    }
    await sessions.sendMessage(id, { text: "and then?" });
    await driver.say(id, inState(Session_State.RUNNING));
    await sessions.interrupt(id);
    await expect.poll(() => driver.messages).toEqual(["and then?"]);
    await expect.poll(() => driver.interrupted).toEqual([id]);
    await sessions.stop(id, { reason: "first" });
    await end(sessions, id, "second");
    expect((await sessions.get(id)).result?.outcome).toMatchObject({
      case: "cancellation",
      value: { reason: "first" },
    });
    await sessions.delete(id);
    await expect(sessions.get(id)).rejects.toMatchObject({ kind: "NOT_FOUND" });
  });

  test("refuses a message that the session cannot take any more, at once", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x", { maxTurnCount: 3 }));
    await driver.say(id, turn(1), turn(2), queued(1));
    const reached = { reason: "TURN_LIMIT_REACHED", kind: "FAILED_PRECONDITION" };
    await expect(sessions.sendMessage(id, { text: "one too many" })).rejects.toMatchObject(reached);
    const { id: crowded } = await sessions.create(request("x"));
    await driver.say(crowded, queued(100));
    const full = { reason: "QUEUE_FULL", kind: "RESOURCE_EXHAUSTED", retryable: true };
    await expect(sessions.sendMessage(crowded, { text: "one too many" })).rejects.toMatchObject(full);
    await driver.say(crowded, turn(1));
    await sessions.sendMessage(crowded, { text: "there is room" });
    await expect.poll(() => driver.messages).toEqual(["there is room"]);
    await driver.say(crowded, inState(Session_State.STOPPING));
    const ended = { reason: "SESSION_ENDED", kind: "FAILED_PRECONDITION" };
    await expect(sessions.sendMessage(crowded, { text: "too late" })).rejects.toMatchObject(ended);
  });

  test("keeps changes until they are taken or discarded, and tells who watches where they were taken to", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x"));
    const taken = { kind: TakenChanges_Kind.BRANCH, place: "claude/x in /somewhere" };
    await expect(sessions.markTaken(id, taken)).rejects.toMatchObject({ reason: "SESSION_NOT_FINISHED" });
    const text = `diff --git a/made b/made\nnew file mode 100644\nindex 0000000..e69de29\n`;
    const made = create(FileChangeSchema, { path: "made", kind: FileChange_Kind.ADDED });
    await driver.finish(id, Buffer.from(text), [made]);
    await expect.poll(async () => (await sessions.get(id)).state).toBe(Session_State.SUCCEEDED);
    const refusal = { reason: "CHANGES_NOT_TAKEN", kind: "FAILED_PRECONDITION", metadata: { change_count: "1" } };
    await expect(sessions.delete(id)).rejects.toMatchObject(refusal);
    const seen: (string | undefined)[] = [];
    const left = new AbortController();
    const watching = (async () => {
      for await (const news of sessions.watchAll({ ids: [id], signal: left.signal })) {
        if (news.case === "updates") seen.push(...news.value.sessions.map((session) => session.taken?.place));
      }
    })();
    await expect.poll(() => seen).toEqual([undefined]);
    await sessions.markTaken(id, taken);
    await expect.poll(() => seen.at(-1)).toBe(taken.place);
    // To save it as well says less.
    await sessions.markTaken(id, { kind: TakenChanges_Kind.SAVED, place: "x.patch" });
    expect((await sessions.get(id)).taken).toMatchObject(taken);
    expect((await sessions.list({})).sessions[0]!.taken).toMatchObject(taken);
    await sessions.markTaken(id, undefined);
    await expect(sessions.delete(id)).rejects.toMatchObject(refusal);
    await sessions.markTaken(id, { kind: TakenChanges_Kind.SAVED, place: "p".repeat(5000) });
    expect(Buffer.byteLength((await sessions.get(id)).taken!.place)).toBeLessThanOrEqual(1024);
    await sessions.markTaken(id, undefined);
    left.abort();
    await watching;
    await sessions.delete(id, { discard: true });
    await expect(sessions.get(id)).rejects.toMatchObject({ kind: "NOT_FOUND" });
    await expect(sessions.markTaken(id, taken)).rejects.toMatchObject({ kind: "NOT_FOUND" });
  });

  test("interrupts a turn that runs or waits, and says where there is none", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x"));
    const refused = (state: string) => ({
      reason: "TURN_NOT_RUNNING",
      kind: "FAILED_PRECONDITION",
      message: expect.stringContaining(`is ${state}`) as string,
      help: expect.stringContaining("stop_session") as string,
    });
    await driver.say(id, inState(Session_State.PREPARING));
    await expect(sessions.interrupt(id)).rejects.toMatchObject(refused("preparing"));
    await driver.say(id, inState(Session_State.RUNNING));
    await sessions.interrupt(id);
    await driver.say(id, inState(Session_State.WAITING));
    await sessions.interrupt(id);
    await driver.say(id, inState(Session_State.IDLE));
    await expect(sessions.interrupt(id)).rejects.toMatchObject(refused("idle"));
    await expect.poll(() => driver.interrupted).toEqual([id, id]);
    await end(sessions, id, "enough");
    await expect(sessions.interrupt(id)).rejects.toMatchObject({ reason: "SESSION_OVER" });
    await expect(sessions.interrupt("ses_NONE")).rejects.toMatchObject({ reason: "SESSION_NOT_FOUND" });
  });

  test("takes one decision and one answer for each request that waits", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x"));
    const permission = create(PermissionRequestedSchema, { requestId: "p1", toolName: "Bash" });
    const questions = [{ question: "Which?" }, { question: "Which others?", multiSelect: true }];
    const question = create(QuestionAskedSchema, { requestId: "q1", questions });
    await driver.say(
      id,
      { case: "permissionRequested", value: permission },
      { case: "questionAsked", value: question },
    );
    const { pendingRequests } = await sessions.get(id);
    expect(pendingRequests.map(({ requestId }) => requestId)).toEqual(["p1", "q1"]);
    const { sequence } = pendingRequests[0]!;
    for await (const event of eachEvent(
      sessions.watch(id, {
        afterSequence: sequence - 1,
        signal: AbortSignal.timeout(20_000),
      }),
    )) {
      expect(event).toMatchObject({ sequence, event: { case: "permissionRequested" } });
      break;
    }
    await expect(sessions.decide(id, { requestId: "other", allow: true })).rejects.toMatchObject({
      reason: "DECISION_UNKNOWN",
      kind: "FAILED_PRECONDITION",
    });
    await expect(sessions.decide(id, { requestId: "q1", allow: true })).rejects.toMatchObject({
      reason: "DECISION_MISMATCH",
    });
    await sessions.decide(id, { requestId: "p1", allow: false, message: "no" });
    await expect(sessions.decide(id, { requestId: "p1", allow: true })).rejects.toMatchObject({
      reason: "DECISION_MADE",
    });
    await expect(sessions.answer(id, { requestId: "q1", answers: [["a"]] })).rejects.toMatchObject({
      reason: "ANSWER_INVALID",
      kind: "INVALID_ARGUMENT",
    });
    await sessions.answer(id, { requestId: "q1", answers: [["a"], ["b", "c"]] });
    await expect.poll(async () => (await sessions.get(id)).pendingRequests).toEqual([]);
    await driver.finish(id);
    const told = (await readAll(sessions, id)).map(({ event }) => event);
    expect(told.find((event) => event.case === "permissionDecided")?.value).toMatchObject({
      allowed: false,
      message: "no",
    });
    expect(told.find((event) => event.case === "questionAnswered")?.value).toMatchObject({
      answers: [{ values: ["a"] }, { values: ["b", "c"] }],
    });
  });

  test("dials no session that there is not, or that has finished", async () => {
    await using harness = await start();
    const { sessions } = harness;
    const dial = (id: string) => sessions.dial(id, Readable.from([]), { signal: AbortSignal.timeout(20_000) }).next();
    await expect(dial("ses_NONE")).rejects.toMatchObject({ reason: "SESSION_NOT_FOUND", kind: "NOT_FOUND" });
    const { id } = await sessions.create(request("x"));
    await end(sessions, id, "enough");
    await expect(dial(id)).rejects.toMatchObject({
      reason: "SESSION_NOT_RUNNING",
      kind: "NOT_FOUND",
      help: expect.stringContaining("list --live") as string,
    });
  });

  test("gives the whole patch, byte by byte, however large", async () => {
    await using harness = await start();
    const { sessions, driver } = harness;
    const { id } = await sessions.create(request("x"));
    expect(await readPatch(sessions, id)).toHaveLength(0);
    const patch = new Uint8Array(1_000_003).map((_value, index) => (index * 31) % 256);
    await driver.finish(id, patch);
    await readAll(sessions, id);
    expect(Buffer.from(await readPatch(sessions, id)).equals(patch)).toBe(true);
  });
}
