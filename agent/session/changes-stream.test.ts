import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { createLogger } from "../log.ts";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  type EventBody,
  FileChange_Kind as Kind,
  type FileChange,
  FileChangeSchema,
  MAX_EVENT_BYTES,
  SessionEventSchema,
  ToolUseFinishedSchema,
  ToolUseStartedSchema,
} from "../../proto/index.ts";
import { toBinary } from "@bufbuild/protobuf";
import { ChangesStream, type ChangesStreamOptions } from "./changes-stream.ts";

type Scan = Awaited<ReturnType<ChangesStreamOptions["workspace"]["scan"]>>;
type Look = Awaited<ReturnType<ChangesStreamOptions["workspace"]["look"]>>;

/** A workspace in memory: what is put into `pending` is what the next scan finds. */
class FakeWorkspace {
  readonly pending: { change: FileChange; patch: Buffer }[] = [];
  /** Whole scans, and looks at what was touched. */
  readonly scans: number[] = [];
  readonly looks: number[] = [];
  scanIsDue = false;
  readonly known: FileChange[] = [];
  scanMs = 0;
  lookMs = 0;
  failures = 0;
  running = 0;
  tick = () => {};

  async scan(): Promise<Scan> {
    this.scanIsDue = false;
    return await this.#find(this.scans, this.scanMs);
  }

  async look(): Promise<Look> {
    const found = await this.#find(this.looks, this.lookMs);
    return { ...found, whole: false, wholeIsDue: this.scanIsDue };
  }

  async #find(times: number[], ms: number): Promise<Scan> {
    expect(++this.running).toBe(1);
    times.push(Date.now());
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    this.running -= 1;
    if (this.failures-- > 0) throw new Error("git was killed");
    const delta = this.pending.splice(0);
    this.known.push(...delta.map(({ change }) => change));
    return { delta, changes: [...this.known], more: false, unreadablePaths: [] };
  }

  async *watch({ signal }: { signal: AbortSignal }): AsyncGenerator<void> {
    for (;;) {
      await new Promise<void>((resolve) => {
        this.tick = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      if (signal.aborted) return;
      yield;
    }
  }
}

let workspace: FakeWorkspace;
let events: EventBody[];
let room: boolean;
let stream: ChangesStream;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
  workspace = new FakeWorkspace();
  events = [];
  room = true;
  const emit = (event: EventBody) => void events.push(event);
  stream = new ChangesStream({ workspace, emit, roomy: async () => room, log: createLogger("silent") });
  stream.start();
});

afterEach(async () => {
  const stopped = stream.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  await stopped;
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function change(path: string, patch: Buffer | string = `+${path}\n`): void {
  const fields = { path, kind: Kind.ADDED };
  workspace.pending.push({ change: create(FileChangeSchema, fields), patch: Buffer.from(patch) });
}

function patched(): string[] {
  return events.flatMap((event) => (event.case === "filePatched" ? [event.value.change!.path] : []));
}

test("makes one look of many file events, and tells diffs before the list", async () => {
  change("a.txt");
  change("b.txt");
  workspace.tick();
  await vi.advanceTimersByTimeAsync(5);
  workspace.tick();
  await vi.advanceTimersByTimeAsync(9);
  expect(workspace.looks).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(workspace.looks).toHaveLength(1);
  expect(events.map((event) => event.case)).toEqual(["filePatched", "filePatched", "changesUpdated"]);
  expect(events.at(-1)!.value).toMatchObject({ changeCount: 2 });
});

test("says nothing when nothing has changed", async () => {
  workspace.tick();
  await vi.advanceTimersByTimeAsync(1000);
  expect(workspace.looks.length).toBeGreaterThan(0);
  expect(events).toEqual([]);
});

test("scans after tools that may change files, and not after those that only read", async () => {
  const use = (toolUseId: string, name: string) => {
    stream.notice({ case: "toolUseStarted", value: create(ToolUseStartedSchema, { toolUseId, name }) });
    stream.notice({ case: "toolUseFinished", value: create(ToolUseFinishedSchema, { toolUseId }) });
  };
  use("t1", "Read");
  use("t2", "Grep");
  await vi.advanceTimersByTimeAsync(1000);
  expect(workspace.looks).toHaveLength(0);
  use("t3", "Bash");
  await vi.advanceTimersByTimeAsync(1000);
  expect(workspace.looks).toHaveLength(1);
});

/** Has something touched all the time. */
async function touch({ ms }: { ms: number }): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end;) {
    workspace.tick();
    await vi.advanceTimersByTimeAsync(10);
  }
}

test("spends a tenth of the time on looks, however many events there are", async () => {
  workspace.lookMs = 200;
  await touch({ ms: 2000 });
  const before = workspace.looks.length;
  await touch({ ms: 20_000 });
  expect(workspace.looks.length - before).toBeGreaterThan(5);
  expect(workspace.looks.length - before).toBeLessThanOrEqual(11);
});

test("looks again at once after a while without", async () => {
  workspace.lookMs = 100;
  for (let count = 1; count <= 10; count++) {
    workspace.tick();
    await vi.advanceTimersByTimeAsync(50);
    expect(workspace.looks).toHaveLength(count);
    await vi.advanceTimersByTimeAsync(950);
  }
});

test("spends a tenth of the time on whole scans, and does not let looks wait for their rest", async () => {
  workspace.scanMs = 1000;
  workspace.scanIsDue = true;
  workspace.tick();
  await vi.advanceTimersByTimeAsync(1100);
  expect(workspace.scans).toHaveLength(1);
  const firstAt = workspace.scans[0]!;
  workspace.scanIsDue = true;
  change("a.txt");
  workspace.tick();
  await vi.advanceTimersByTimeAsync(60);
  expect(patched()).toEqual(["a.txt"]);
  expect(workspace.scans).toHaveLength(1);
  // Nothing more happens, and it comes all the same.
  await vi.advanceTimersByTimeAsync(10_000);
  expect(workspace.scans).toHaveLength(2);
  expect(workspace.scans[1]! - firstAt).toBeGreaterThanOrEqual(10_000);
});

test("tries a failed scan again, by itself and less and less often", async () => {
  change("a.txt");
  workspace.failures = 3;
  workspace.tick();
  await vi.advanceTimersByTimeAsync(30_000);
  expect(patched()).toEqual(["a.txt"]);
  expect(workspace.looks).toHaveLength(4);
});

test("sends a large diff in parts that fit, each with the hash of the whole", async () => {
  const patch = Buffer.from("+0123456789abcde\n".repeat(12_000));
  change("p/".repeat(2000), patch);
  await stream.scan({ signal: new AbortController().signal });
  const parts = events.flatMap((event) => (event.case === "filePatched" ? [event.value] : []));
  expect(parts.map(({ partIndex, partCount }) => [partIndex, partCount])).toEqual(
    [0, 1, 2, 3, 4].map((index) => [index, 5]),
  );
  expect(Buffer.concat(parts.map((part) => part.patch))).toEqual(patch);
  const sha256 = createHash("sha256").update(patch).digest();
  for (const part of parts) {
    expect(Buffer.from(part.patchSha256)).toEqual(sha256);
    const event = create(SessionEventSchema, { event: { case: "filePatched", value: part } });
    expect(toBinary(SessionEventSchema, event).length).toBeLessThan(MAX_EVENT_BYTES);
  }
});

test("announces a diff above 4 MiB in the list only", async () => {
  change("huge.txt", Buffer.alloc(4 * 1024 * 1024 + 1));
  change("small.txt");
  await stream.scan({ signal: new AbortController().signal });
  expect(patched()).toEqual(["small.txt"]);
  expect(events.at(-1)!.value).toMatchObject({ changeCount: 2 });
});

test("tells that a file is as it was", async () => {
  workspace.pending.push({
    change: create(FileChangeSchema, { path: "a.txt", kind: Kind.REVERTED }),
    patch: Buffer.alloc(0),
  });
  await stream.scan({ signal: new AbortController().signal });
  expect(events[0]).toMatchObject({
    case: "filePatched",
    value: { partCount: 1, partIndex: 0, change: { kind: Kind.REVERTED } },
  });
});

test("leaves diffs out, and not the list, when there will be no room", async () => {
  room = false;
  change("a.txt");
  await stream.scan({ signal: new AbortController().signal });
  expect(events.map((event) => event.case)).toEqual(["changesUpdated"]);
});
