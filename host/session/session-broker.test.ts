import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { type Duplex, duplexPair } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { expect, onTestFinished, test } from "vitest";
import { managerOptions } from "../../test/support/manager-options.ts";
import { type EventBody, SessionSpecSchema } from "../../proto/index.ts";
import { createSessionBroker, type SessionBrokerOptions } from "./session-broker.ts";

/** The broker of a session that works in one repository, on a host that lists others too; none of the servers is there. */
function start(options: Partial<SessionBrokerOptions> = {}) {
  const told: EventBody[] = [];
  const leaving = new AbortController();
  const repositories = ["http://127.0.0.1:9/beside.git", "http://127.0.0.1:10/elsewhere.git"];
  const broker = createSessionBroker({
    ...managerOptions(),
    git: { ...managerOptions().git, repositories },
    spec: create(SessionSpecSchema, { repository: { uri: "http://127.0.0.1:9/own.git" } }),
    spending: { reserve: () => Promise.resolve({ refused: "No." }), add: () => {} },
    snapshot: undefined,
    onReach: () => {},
    traceId: "",
    sessionId: "ses_1",
    tell: (event) => void told.push(event),
    leaving: leaving.signal,
    ...options,
  });
  onTestFinished(() => broker[Symbol.dispose]());
  const open = (listener: "proxy" | "git"): Duplex => {
    const [ours, theirs] = duplexPair();
    broker.accept(listener, theirs);
    return ours;
  };
  return { told, leaving, open };
}

type Started = ReturnType<typeof start>;

/** The status that git is answered when it wants to push to a repository. */
async function push({ open }: Started, repository: string): Promise<number | undefined> {
  const path = `/http/${repository}/info/refs?service=git-receive-pack`;
  const call = request({ path, createConnection: () => open("git") as never }).end();
  const [response] = (await once(call, "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

/** Asks for a way out that no session gets. */
async function connect({ open }: Started, authority: string): Promise<void> {
  const socket = open("proxy");
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await once(socket, "data");
}

test("lets git push to the session's own repository and to listed ones on its server, to no other", async () => {
  const session = start();
  const status = (repository: string) => push(session, repository);
  // Nobody listens there.
  expect(await status("127.0.0.1:9/own.git")).toBe(502);
  expect(await status("127.0.0.1:9/beside.git")).toBe(502);
  expect(await status("127.0.0.1:9/other.git")).toBe(403);
  expect(await status("127.0.0.1:10/elsewhere.git")).toBe(403);
});

test("tells each decision once, and none of a container that is left", async () => {
  const session = start();
  await connect(session, "one.test:443");
  await connect(session, "one.test:443");
  await connect(session, "two.test:443");
  session.leaving.abort();
  await connect(session, "three.test:443");
  expect(session.told.map((event) => event.case === "egressDecided" && event.value.destination)).toEqual([
    "one.test:443",
    "two.test:443",
  ]);
});
