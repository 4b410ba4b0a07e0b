import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Phase, Session_State as State, type SessionResult } from "../../../proto/index.ts";
import type { Bench } from "../bench.ts";
import type { Check } from "../check.ts";

/** From a task to the session's end. */
export const TURNS: readonly Check[] = [
  {
    rule: "Messages are queued while a turn runs and taken in order, each message_id once.",
    needs: "finished",
    async run(_bench, { owner }) {
      const turns = owner.all("turnStarted").map(({ messageId }) => messageId);
      assert.deepEqual(turns, ["", "m2", "m3"], "message_id of each turn");
      for (const word of ["First.", "Second.", "Third."]) {
        assert.ok(
          owner.all("turnStarted").some(({ text }) => text.endsWith(word)),
          `no turn was about "${word}"`,
        );
      }
      assert.deepEqual(
        owner.all("turnFinished").flatMap(({ failure }) => failure ?? []),
        [],
        "failures of turns",
      );
    },
  },
  {
    rule: "A message that has to wait is told with message_queued.",
    needs: "finished",
    capability: "queued-messages",
    async run(_bench, { owner }) {
      const queued = owner.all("messageQueued").map(({ messageId, waitingCount }) => [messageId, waitingCount]);
      assert.deepEqual(queued, [
        ["m2", 1],
        ["m3", 2],
      ]);
    },
  },
  {
    rule: "With a max_turn_count the session finishes after so many turns; a message beyond is refused with TURN_LIMIT_REACHED.",
    needs: "own",
    capability: "turn-limit",
    async run(bench) {
      await bench.start("[scenario: small-edit] One.", { idleTimeout: durationFromMs(60_000), maxTurnCount: 2 });
      const owner = bench.attach();
      for (const text of ["Two.", "Three."]) owner.send({ case: "userMessage", value: { text, messageId: text } });
      await owner.heard();
      bench.serve();
      await owner.done;
      const [refusal] = owner.refusals;
      assert.deepEqual([refusal?.reason, refusal?.refusedId], ["TURN_LIMIT_REACHED", "Three."]);
      const { state, turnCount } = await bench.getSession();
      assert.deepEqual([state, turnCount], [State.SUCCEEDED, 2]);
    },
  },
  {
    rule: "With an idle_timeout the session waits as IDLE for another message; without, or when it is over, it finishes.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: small-edit] One.", { idleTimeout: durationFromMs(4000) });
      const owner = bench.attach();
      bench.serve();
      await owner.event("stateChanged", ({ state }) => state === State.IDLE);
      owner.send({ case: "userMessage", value: { text: "[scenario: small-edit] Two." } });
      await owner.done;
      const states = owner.all("stateChanged").map(({ state }) => State[state]);
      assert.deepEqual(states, ["PREPARING", "RUNNING", "IDLE", "RUNNING", "IDLE", "STOPPING"]);
      assert.equal((await endOf(bench)).outcome.case, "success");
    },
  },
  {
    rule: "interrupt ends the running turn and nothing else.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: slow-stream seconds=100]", { idleTimeout: durationFromMs(60_000) });
      const owner = bench.attach();
      bench.serve();
      await owner.event("phaseChanged", ({ phase }) => phase === Phase.WORK);
      owner.send({ case: "interrupt", value: {} });
      assert.equal((await owner.event("turnFinished")).interrupted, true, "the interrupted turn");
      owner.send({ case: "userMessage", value: { text: "[scenario: small-edit] After all." } });
      const second = await owner.event("turnFinished", ({ turn }) => turn === 2);
      assert.deepEqual([second.interrupted, second.failure], [false, undefined], "the turn after it");
    },
  },
  {
    rule: "stop ends the session at once as CANCELED, with the changes up to then; the first reason is the one that is kept.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: long-run seconds=100 steps=100]");
      const owner = bench.attach();
      bench.serve();
      await owner.event("filePatched");
      owner.send({ case: "stop", value: { reason: "seen enough" } });
      owner.send({ case: "stop", value: { reason: "a later reason" } });
      await owner.done;
      const { outcome, changeCount, patchSizeBytes } = await endOf(bench);
      assert.equal((await bench.getSession()).state, State.CANCELED);
      assert.equal(outcome.case === "cancellation" && outcome.value.reason, "seen enough");
      assert.ok(changeCount > 0 && patchSizeBytes > 0n, "the changes up to then");
    },
  },
  {
    rule: "When timeout is over the session ends as FAILED, TIMED_OUT, with the changes up to then.",
    needs: "own",
    async run(bench) {
      // Long enough for Claude to start and write on a machine that is busy with other checks.
      await bench.start("[scenario: long-run seconds=200 steps=200]", { timeout: durationFromMs(15_000) });
      const owner = bench.attach();
      bench.serve();
      await owner.done;
      const { outcome, changeCount } = await endOf(bench);
      assert.equal((await bench.getSession()).state, State.FAILED);
      assert.equal(outcome.case === "failure" && outcome.value.reason, "TIMED_OUT");
      assert.ok(changeCount > 0, "the changes up to then");
    },
  },
  {
    rule: "A session that fails is a result and not an error.",
    needs: "own",
    async run(bench) {
      await bench.start("Anything.", { repository: { uri: bench.world.refusedUri } });
      const owner = bench.attach();
      bench.serve();
      await owner.done;
      const { outcome, processExit } = await endOf(bench);
      assert.equal((await bench.getSession()).state, State.FAILED);
      assert.match(outcome.case === "failure" ? outcome.value.reason : "no failure", /^REPOSITORY_/);
      assert.equal(processExit, undefined, "process_exit of a Claude that never started");
      assert.equal((await bench.readPatch()).length, 0, "the patch");
    },
  },
];

async function endOf(bench: Bench): Promise<SessionResult> {
  const { result } = await bench.getSession();
  assert.ok(result !== undefined, "a session that has finished has a result");
  return result;
}
