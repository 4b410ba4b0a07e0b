import assert from "node:assert/strict";
import { AgentService, Session_State as State } from "../../../proto/index.ts";
import { refused } from "../call-failed.ts";
import type { Check } from "../check.ts";

/** Who may say what, and what becomes of the rest. */
export const ROLES: readonly Check[] = [
  {
    rule: "The first message up Attach is attach; anything else is INVALID_ARGUMENT, ATTACH_EXPECTED.",
    needs: "unused",
    async run({ client }) {
      const call = client.exchange(AgentService.method.attach);
      await call.send({ request: { case: "interrupt", value: {} } });
      const first = call[Symbol.asyncIterator]().next();
      await refused(first, "INVALID_ARGUMENT", "ATTACH_EXPECTED");
    },
  },
  {
    rule: "There is one owner: a newer one replaces it, and its stream ends with ABORTED, OWNER_REPLACED.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: small-edit]");
      const older = bench.attach();
      await older.event("sessionStarted");
      const newer = bench.attach({ client: bench.connect() });
      await refused(older.done, "ABORTED", "OWNER_REPLACED");
      bench.serve();
      await newer.done;
      assert.equal(newer.events.at(-1)?.event.case, "sessionFinished", "the newer owner's last event");
    },
  },
  {
    rule: "What a role does not allow is answered with request_refused, ROLE_INSUFFICIENT; the stream goes on.",
    needs: "finished",
    async run(bench, { observer, controller }) {
      const reasons = observer.refusals.map(({ reason }) => reason);
      assert.deepEqual(reasons, ["ROLE_INSUFFICIENT", "ROLE_INSUFFICIENT", "ROLE_INSUFFICIENT"], "an observer");
      assert.equal(controller.refusals[0]?.reason, "ROLE_INSUFFICIENT", "a controller that acknowledges");
      assert.equal((await bench.getSession()).acknowledgedSequence, 0, "acknowledged_sequence");
      assert.equal(observer.events.at(-1)?.event.case, "sessionFinished", "the observer's last event");
      assert.equal((await bench.getSession()).state, State.SUCCEEDED, "the state, in spite of the observer's stop");
    },
  },
  {
    rule: "What cannot be taken or is not known is answered with request_refused; the stream goes on.",
    needs: "finished",
    async run(_bench, { controller }) {
      const reasons = controller.refusals.map(({ reason }) => reason).slice(1);
      assert.deepEqual(reasons, ["ATTACHED_ALREADY", "MESSAGE_EMPTY", "REQUEST_UNKNOWN"]);
    },
  },
  {
    rule: "What the owner acknowledges is seen in acknowledged_sequence, which never falls and never passes the newest event.",
    needs: "own",
    async run(bench) {
      await bench.start("Wait.");
      const owner = bench.attach();
      await owner.until("three events", () => owner.events.length >= 3 || undefined);
      const acknowledge = async (sequence: number) => {
        owner.send({ case: "acknowledge", value: { sequence } });
        await owner.heard();
        return await bench.getSession();
      };
      assert.equal((await acknowledge(2)).acknowledgedSequence, 2, "after acknowledging 2");
      assert.equal((await acknowledge(1)).acknowledgedSequence, 2, "after acknowledging 1");
      const { acknowledgedSequence, lastSequence } = await acknowledge(1_000_000);
      assert.ok(acknowledgedSequence > 2 && acknowledgedSequence <= lastSequence, `${acknowledgedSequence}`);
    },
  },
];
