import assert from "node:assert/strict";
import {
  AcceptConnectionsResponse_Listener as Listener,
  AgentService,
  Phase,
  Session_State as State,
  type SessionEvent,
} from "../../../proto/index.ts";
import type { AgentClient } from "../agent-client.ts";
import type { Bench } from "../bench.ts";
import { refused } from "../call-failed.ts";
import type { Check } from "../check.ts";

const { method } = AgentService;

/** How a session reaches the outside, and what a lost connection does to it. */
export const CONNECTIONS: readonly Check[] = [
  {
    rule: "AcceptConnections sends an empty message at once.",
    needs: "unused",
    async run({ client }) {
      const calls = client.stream(method.acceptConnections)[Symbol.asyncIterator]();
      const { value } = await calls.next();
      assert.deepEqual([value?.connectionId, value?.listener], ["", Listener.UNSPECIFIED]);
      await calls.return?.(undefined);
    },
  },
  {
    rule: "One caller takes the connections: a newer one replaces it, and its stream ends with ABORTED, CALLER_REPLACED.",
    needs: "unused",
    async run(bench) {
      const older = bench.serve();
      await older.accepted;
      const newer = bench.serve(bench.connect());
      await newer.accepted;
      await refused(older.done, "ABORTED", "CALLER_REPLACED");
    },
  },
  {
    rule: "Tunnel of a connection that is not there, or not any more, is NOT_FOUND, CONNECTION_NOT_FOUND.",
    needs: "unused",
    async run({ client }) {
      const tunnel = client.exchange(method.tunnel);
      await tunnel.send({ connectionId: "no-such-connection" });
      await refused(tunnel[Symbol.asyncIterator]().next(), "NOT_FOUND", "CONNECTION_NOT_FOUND");
    },
  },
  {
    rule: "Connections wait while nobody accepts them.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: small-edit]");
      const owner = bench.attach();
      await owner.event("phaseChanged", ({ phase }) => phase === Phase.WORK);
      assert.equal((await bench.getSession()).state, State.RUNNING);
      bench.serve();
      await owner.done;
      assert.deepEqual(owner.all("retrying"), [], "failed requests to the model");
      assert.equal((await bench.getSession()).state, State.SUCCEEDED);
    },
  },
  {
    rule: "What one caller did not take is announced to the next.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: small-edit]");
      const owner = bench.attach();
      const first = await firstAnnounced(bench.client);
      const second = await firstAnnounced(bench.client);
      assert.deepEqual(second, first);
      bench.serve();
      await owner.done;
      assert.deepEqual(owner.all("retrying"), [], "failed requests to the model");
    },
  },
  {
    rule: "LISTENER_MODEL carries HTTP/1.1 without TLS, whose credential is a placeholder.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: small-edit]");
      const { connectionId, listener } = await firstAnnounced(bench.client);
      assert.equal(listener, Listener.MODEL, "the first connection of a session without a repository");
      const head = await readHead(bench.client, connectionId);
      assert.match(head, /^(HEAD|GET|POST) \/\S* HTTP\/1\.1\r\n/);
      assert.doesNotMatch(head, /sk-ant-/);
    },
  },
  {
    rule: "LISTENER_PROXY carries what an HTTP proxy is asked: CONNECT, and absolute-form requests for plain HTTP.",
    needs: "own",
    async run(bench) {
      const uri = "https://refused.invalid/owner/name";
      await bench.start("Anything.", { repository: { uri } });
      const { connectionId, listener } = await firstAnnounced(bench.client);
      assert.equal(listener, Listener.PROXY, "the first connection of a session with a repository");
      assert.match(await readHead(bench.client, connectionId), /^CONNECT refused\.invalid:443 HTTP\/1\.1\r\n/);
    },
  },
  {
    rule: 'With git_prefixes, LISTENER_GIT carries git\'s requests for URLs that begin so: HTTP/1.1 without TLS, for "/<scheme>/<host[:port]>/<path>".',
    needs: "own",
    capability: "git-listener",
    async run(bench) {
      const uri = "https://refused.invalid:8443/owner/name";
      await bench.start("Anything.", { repository: { uri } }, { gitPrefixes: ["https://refused.invalid:8443/"] });
      const { connectionId, listener } = await firstAnnounced(bench.client);
      assert.equal(listener, Listener.GIT, "the first connection of a session with git_prefixes");
      const head = await readHead(bench.client, connectionId);
      assert.match(
        head,
        /^GET \/https\/refused\.invalid:8443\/owner\/name\/info\/refs\?service=git-upload-pack HTTP\/1\.1\r\n/,
      );
    },
  },
  {
    rule: "A connection that is lost in the middle of a turn ends nothing: read on after the last event, and none is lost or doubled.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: long-run seconds=6 steps=6]");
      const log: SessionEvent[] = [];
      for (let part = 1; log.at(-1)?.event.case !== "sessionFinished"; part++) {
        log.push(...(await readPart(bench, { after: log.length, whole: part > 2 })));
      }
      assert.deepEqual(
        log.map(({ sequence }) => sequence),
        log.map((_, index) => index + 1),
        "the numbers of the events",
      );
      assert.equal((await lastSession(bench)).state, State.SUCCEEDED);
    },
  },
];

/** Follows the session over a new connection: to its end, or until a tool was used, and then cuts everything. */
async function readPart(bench: Bench, { after, whole }: { after: number; whole: boolean }): Promise<SessionEvent[]> {
  const client = bench.connect();
  const owner = bench.attach({ client, afterSequence: after, acknowledge: true });
  using _serving = bench.serve(client);
  if (whole) await owner.done;
  else {
    await owner.event("toolUseFinished");
    bench.cut();
    await refused(owner.done, "UNAVAILABLE");
  }
  return owner.events;
}

async function lastSession(bench: Bench) {
  const { session } = await bench.connect().call(method.getSession);
  return session!;
}

/** The first connection that the agent announces to a new caller, who then goes without taking it. */
async function firstAnnounced(client: AgentClient): Promise<{ connectionId: string; listener: Listener }> {
  for await (const { connectionId, listener } of client.stream(method.acceptConnections)) {
    if (connectionId !== "") return { connectionId, listener };
  }
  return assert.fail("the agent announced no connection");
}

async function readHead(client: AgentClient, connectionId: string): Promise<string> {
  const tunnel = client.exchange(method.tunnel);
  await tunnel.send({ connectionId });
  let head = "";
  for await (const { data } of tunnel) {
    head += Buffer.from(data).toString("latin1");
    if (head.includes("\r\n\r\n")) break;
  }
  return head;
}
