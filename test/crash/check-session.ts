import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Session_State, type Session, type SessionEvent } from "../../proto/index.ts";
import { applyPatch } from "../support/apply-patch.ts";
import { bytesOf } from "./observer.ts";
import type { StoredEvent } from "./stored-log.ts";

/** The agent's first and last words, which the host says itself. */
const HOSTS_OWN = new Set<SessionEvent["event"]["case"]>(["sessionStarted", "sessionFinished"]);

/** See steadyTime. */
const MAX_LATER_MS = 1000;

export interface SessionFacts {
  session: Session;
  /** What the caller saw over the control API. */
  watched: SessionEvent[];
  stored: StoredEvent[];
  /** What a second observer saw the agent emit. */
  observed: ReadonlyMap<number, SessionEvent>;
  patch: Uint8Array;
  bareRepository: string;
  /** Files and contents as an undisturbed session leaves them. */
  expectedFiles: Readonly<Record<string, string>>;
  /** What was done that ends a session, and the failures that may be told of it. */
  lethal: { what: string; reasons: readonly string[] }[];
}

/** Returns everything that is wrong with a session that has finished; empty if nothing is. */
export async function checkSession(facts: SessionFacts): Promise<string[]> {
  const { session, watched, stored, observed, lethal } = facts;
  const wrong: string[] = [];
  const expect = (holds: boolean, what: string) => holds || wrong.push(`${session.id}: ${what}`);

  expect(
    watched.every(({ sequence }, index) => sequence === index + 1),
    "the watched log has gaps or doubles",
  );
  expect(
    watched.length === stored.length && watched.every((event, index) => same(event, stored[index]!.event)),
    `the watched log (${watched.length}) is not the stored one (${stored.length})`,
  );
  expect(
    watched.filter(({ event }) => event.case === "sessionFinished").length === 1 &&
      watched.at(-1)?.event.case === "sessionFinished",
    "there is not exactly one last event",
  );

  const fromAgent = stored.filter(({ agentSequence }) => agentSequence !== undefined);
  const numbers = fromAgent.map(({ agentSequence }) => agentSequence!);
  expect(
    numbers.every((number, index) => index === 0 || number > numbers[index - 1]!),
    "the agent's events are out of order or doubled",
  );
  for (const { event, agentSequence } of fromAgent) {
    const seen = observed.get(agentSequence!);
    if (seen !== undefined) expect(same(seen, event), `event ${agentSequence} is not what the agent emitted`);
  }
  const last = numbers.at(-1) ?? 0;
  const have = new Set(numbers);
  for (const [number, event] of observed) {
    if (HOSTS_OWN.has(event.event.case) || isFinalState(event)) continue;
    // What a container had not handed over when it was killed is lost with it.
    const mayLack = lethal.length > 0 && number > last;
    expect(have.has(number) || mayLack, `the agent's event ${number} (${event.event.case}) is missing`);
  }

  await checkOutcome(facts, expect);
  return wrong;
}

async function checkOutcome(facts: SessionFacts, expect: (holds: boolean, what: string) => unknown): Promise<void> {
  const { session, patch, bareRepository, expectedFiles, lethal } = facts;
  const outcome = session.result?.outcome;
  const files = await applyPatch(bareRepository, patch).catch((error: unknown) => {
    expect(false, `the patch does not apply: ${String(error)}`);
    return undefined;
  });
  if (session.state === Session_State.SUCCEEDED) {
    expect(files !== undefined && equal(files, expectedFiles), "the patch is not the tree");
    return;
  }
  const reason = outcome?.case === "failure" ? outcome.value.reason : String(outcome?.case);
  const message = outcome?.case === "failure" ? outcome.value.message : "";
  const allowed = lethal.flatMap(({ reasons }) => reasons);
  const done = lethal.map(({ what }) => what).join(", ") || "nothing";
  expect(allowed.includes(reason), `it failed with ${reason} (${message}), and what ended it was: ${done}`);
  for (const [path, content] of Object.entries(files ?? {})) {
    const expected = expectedFiles[path];
    expect(expected !== undefined && expected.startsWith(content), `${path} in the kept changes never was like that`);
  }
}

function isFinalState({ event }: SessionEvent): boolean {
  return event.case === "stateChanged" && event.value.state >= Session_State.SUCCEEDED;
}

/** The same but for the host's log being steady: an event that comes a little before the one before it has that one's time. */
function same(seen: SessionEvent, stored: SessionEvent): boolean {
  const laterMs = timestampMs(stored.occurTime!) - timestampMs(seen.occurTime!);
  const steady = { ...stored, occurTime: seen.occurTime! };
  return laterMs >= 0 && laterMs < MAX_LATER_MS && Buffer.from(bytesOf(seen)).equals(bytesOf(steady));
}

function equal(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const paths = Object.keys(a);
  return paths.length === Object.keys(b).length && paths.every((path) => a[path] === b[path]);
}
