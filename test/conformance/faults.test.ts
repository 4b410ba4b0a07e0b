import { duplexPair } from "node:stream";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  GetSessionResponseSchema,
  ReadArtifactResponseSchema,
  type WatchEventsResponse,
  WatchEventsResponseSchema,
} from "../../proto/index.ts";
import { startRig } from "../agent/agent-rig.ts";
import type { RunningAgent } from "./agent-source.ts";
import { CATALOG } from "./catalog.ts";
import { type Fault, faultyAgent, type Faults } from "./faulty-agent.ts";
import { runConformance } from "./run.ts";
import { startWorld } from "./world.ts";

async function goodAgent(): Promise<RunningAgent> {
  const rig = await startRig();
  return {
    token: undefined,
    async dial() {
      const [near, far] = duplexPair();
      rig.agent.serve(far);
      return near;
    },
    [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
  };
}

/** Does something to each message of WatchEvents. */
function watching(change: (message: WatchEventsResponse) => WatchEventsResponse[]): Fault {
  return (bytes) =>
    change(fromBinary(WatchEventsResponseSchema, bytes)).map((message) =>
      Buffer.from(toBinary(WatchEventsResponseSchema, message)),
    );
}

const withoutHello = watching((message) => (message.response.case === "hello" ? [] : [message]));
const withTheNewestEventTwice = watching((message) => {
  if (message.response.case !== "events") return [message];
  const { events } = message.response.value;
  events.push(events.at(-1)!);
  return [message];
});
const withAnotherHash: Fault = (bytes) => {
  const message = fromBinary(ReadArtifactResponseSchema, bytes);
  if (message.artifact !== undefined) message.artifact.sha256[0]! ^= 1;
  return [Buffer.from(toBinary(ReadArtifactResponseSchema, message))];
};
const withAnotherState: Fault = (bytes) => {
  const message = fromBinary(GetSessionResponseSchema, bytes);
  message.session!.lastSequence += 1;
  return [Buffer.from(toBinary(GetSessionResponseSchema, message))];
};

const RULES = {
  hello: "The first message of Attach and of WatchEvents is hello.",
  same: "Every reader, early or late, gets the same events.",
  after: "A reader gets exactly the events after after_sequence; 0 means all of them.",
  fold: "GetSession answers with what the events add up to.",
  hash: "ReadArtifact says size and SHA-256 in its first message, and sends at most 256 KiB in each.",
  offset: "ReadArtifact sends what follows the caller's offset; beyond the end is OUT_OF_RANGE, OFFSET_INVALID.",
};

test.for<[what: string, faults: Faults, failed: string[]]>([
  ["does nothing wrong", {}, []],
  [
    "sends no hello and a wrong hash",
    { WatchEvents: withoutHello, ReadArtifact: withAnotherHash },
    [RULES.hello, RULES.after, RULES.hash, RULES.offset],
  ],
  [
    "doubles events and counts wrong",
    { WatchEvents: withTheNewestEventTwice, GetSession: withAnotherState },
    [RULES.same, RULES.after, RULES.fold],
  ],
])("of an agent that %s", async ([_what, faults, failed]) => {
  await using world = await startWorld();
  const source = { fresh: false, start: async () => faultyAgent(await goodAgent(), { faults, bareErrors: false }) };
  const checks = CATALOG.filter(({ needs }) => needs === "finished");
  const results = await runConformance({ source, world, checks, jobs: 1 });
  expect(results.filter(({ outcome }) => outcome !== "passed").map(({ rule }) => rule)).toEqual(failed);
});

test("tells errors without ErrorInfo", async () => {
  await using world = await startWorld();
  const source = { fresh: false, start: async () => faultyAgent(await goodAgent(), { faults: {}, bareErrors: true }) };
  const checks = CATALOG.filter(({ needs }) => needs === "unused");
  const results = await runConformance({ source, world, checks, jobs: 1 });
  const passed = results.filter(({ outcome }) => outcome === "passed").map(({ rule }) => rule);
  expect(passed).toEqual(["AcceptConnections sends an empty message at once."]);
});
