import { once } from "node:events";
import { connect } from "node:net";
import { beforeAll, expect, test } from "vitest";
import { startRig } from "../agent/agent-rig.ts";
import type { AgentSource } from "./agent-source.ts";
import { CATALOG } from "./catalog.ts";
import { type CheckResult, runConformance } from "./run.ts";
import { startWorld } from "./world.ts";

const TOKEN = "a-token-that-only-the-tests-know";

/** The agent of this commit, in this process, reached over TCP. */
const currentAgent: AgentSource = {
  fresh: true,
  async start() {
    const rig = await startRig({ config: { listen: { host: "127.0.0.1", port: 0, token: TOKEN } } });
    const port = await rig.agent.listen();
    return {
      token: TOKEN,
      async dial() {
        const socket = connect(port!, "127.0.0.1");
        await once(socket, "connect");
        return socket;
      },
      [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
    };
  },
};

let results: CheckResult[];
beforeAll(async () => {
  await using world = await startWorld();
  results = await runConformance({ source: currentAgent, world, checks: CATALOG, jobs: 3 });
}, 600_000);

test.for(CATALOG)("$rule", ({ rule }) => {
  const { outcome, detail } = results.find((result) => result.rule === rule)!;
  expect(outcome, detail).toBe("passed");
});
