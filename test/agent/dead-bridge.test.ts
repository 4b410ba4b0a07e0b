import { durationMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { Session_State as State } from "../../proto/index.ts";
import { attach, serveModel } from "./agent-rig.ts";
import { Bridge } from "./bridge.ts";
import { startLiveAgent } from "./live-agent.ts";

test("a session goes on when the way to its host dies without a word in the middle of an answer", async () => {
  await using live = await startLiveAgent({ timeouts: { pingIntervalMs: 1000, pingTimeoutMs: 1000 } });
  await live.rig.agent.listen();
  const bridge = await Bridge.open(live.rig.config.socketPath);
  using connection = bridge.dial();
  await using _serving = serveModel(connection, live.model.url);
  await live.start("[scenario: slow-stream seconds=4]");
  await using owner = attach(connection);
  await owner.event("claudeReady");
  await expect.poll(() => live.model.requests.length).toBeGreaterThan(0);
  bridge.stop();
  const seen = owner.events.length;
  // The host comes back by another way, and has to find its seats free.
  const back = live.rig.connect();
  await using _again = serveModel(back, live.model.url);
  await using returned = attach(back, { afterSequence: seen });
  await returned.done;
  const { state, result } = await live.session();
  expect(state).toBe(State.SUCCEEDED);
  expect(result!.finalText).toContain("tick");
  expect(returned.events[0]!.sequence).toBe(seen + 1);
  expect(durationMs(result!.elapsed!)).toBeLessThan(30_000);
  bridge.close();
});
