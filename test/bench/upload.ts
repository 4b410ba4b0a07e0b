import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { callersWith } from "../../host/callers/callers.ts";
import { ControlClient } from "../../host/control/control-client.ts";
import { ControlServer } from "../../host/control/control-server.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";
import { SnapshotStores, storesDirectory } from "../../host/snapshots/snapshot-stores.ts";
import { LocalSource } from "../../host/source/local-source.ts";
import { MemorySessions } from "../contract/memory-sessions.ts";
import { QUIET_HOST } from "../support/quiet-host.ts";
import { largePath } from "./large-repository.ts";
import { inTurn, type Part } from "./part.ts";
import { makeWorkTree } from "./snapshot.ts";

/** 100 MB. */
const REPOSITORY = { files: 50_000, fileBytes: 2_000 };
const TOKEN = "a-token-of-the-bench";

const run = promisify(execFile);

/** A work tree's way to a host on TCP, with its snapshot and all that the host checks, against a clone of the same depth. */
export const upload: Part = async ({ longRounds, figures, say }) => {
  const area = await mkdtemp(join(tmpdir(), "claudecluster-upload-"));
  try {
    say(`making a repository of ${REPOSITORY.files} files`);
    const root = join(area, "user");
    await makeWorkTree(area, root, REPOSITORY);
    for (let round = 0; round <= longRounds; round++) {
      say(round === 0 ? "warming up" : `upload ${round} of ${longRounds}`);
      const place = join(area, `round${round}`);
      await using host = await startHost(join(place, "host"));
      const took = await inTurn(1, {
        clone: () => timed(() => run("git", ["clone", "-q", "--no-hardlinks", root, join(place, "clone")])),
        shallow: () => timed(() => run("git", ["clone", "-q", "--depth=1", `file://${root}`, join(place, "shallow")])),
        first: () => timed(() => host.send(root, join(place, "front"))),
        second: async () => {
          await writeFile(join(root, largePath(7)), `round ${round}\n`);
          return await timed(() => host.send(root, join(place, "front")));
        },
      });
      await rm(place, { recursive: true });
      if (round === 0) continue;
      figures.add("git clone --no-hardlinks", took.clone);
      figures.add("git clone --depth=1", took.shallow);
      figures.add("first upload", took.first);
      figures.add("second upload", took.second);
      figures.addRatio("first upload / git clone --no-hardlinks", took.first, took.clone);
      figures.addRatio("first upload / git clone --depth=1", took.first, took.shallow);
      figures.addRatio("second upload / first upload", took.second, took.first);
    }
  } finally {
    await rm(area, { recursive: true });
  }
};

async function startHost(stateDirectory: string) {
  await using stack = new AsyncDisposableStack();
  const sessions = stack.use(new MemorySessions());
  const { uploads } = new SnapshotStores(storesDirectory(stateDirectory));
  const logger = pino({ level: "silent" });
  const server = stack.use(new ControlServer({ sessions, uploads, host: QUIET_HOST, logger }));
  const url = `http://127.0.0.1:${await server.listenTcp({ host: "127.0.0.1", port: 0, callers: callersWith(TOKEN) })}`;
  const client = stack.use(new ControlClient({ url, token: () => Promise.resolve(TOKEN) }));
  const remote = new RemoteSessions({ client });
  const send = async (root: string, front: string): Promise<void> => {
    const receiver = { url, upload: remote.upload.bind(remote) };
    const source = new LocalSource({ stateDirectory: front, home: front, receiver });
    const place = { directory: () => Promise.resolve(root), signal: AbortSignal.timeout(600_000) };
    await source.find({ repository: root, continues: false }, place);
  };
  const owned = stack.move();
  return { send, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}
