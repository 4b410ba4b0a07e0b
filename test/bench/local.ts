import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { storesDirectory } from "../../host/snapshots/snapshot-stores.ts";
import { LocalSource } from "../../host/source/local-source.ts";
import {
  ContainerSpecSchema,
  Phase,
  type RepositorySpec,
  RepositorySpecSchema,
  SessionSpecSchema,
} from "../../proto/index.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { docker } from "../support/docker.ts";
import { eachEvent } from "../support/each-event.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";
import { inTurn, type Part } from "./part.ts";
import { makeWorkTree } from "./snapshot.ts";

/** 1 GB. */
const REPOSITORY = { files: 50_000, fileBytes: 20_000 };
const CHANGED = 1000;
/** Of each round: it is quick, beside the sessions. */
const APPLY_ROUNDS = 3;
/** The work tree and its objects are memory of the container. */
const MEMORY_BYTES = 6n * 2n ** 30n;
const TIME_MS = 1_800_000;

const run = promisify(execFile);

/**
 * A session of a local repository, against git: in, from the call to WorkspaceReady, against `git clone --no-hardlinks` of one
 * commit; a thousand changed files out, `apply` against `git apply`. And what a second session fetches of that which the first one
 * had, also of the repository by its URL.
 */
export const local: Part = async ({ longRounds, repository, figures, say }) => {
  await using rig = await startHostRig();
  const area = await mkdtemp(join(tmpdir(), "claudecluster-local-"));
  try {
    say("making a repository");
    const root = join(area, "user");
    if (repository === undefined) await makeWorkTree(area, root, REPOSITORY);
    else await run("git", ["clone", "-q", "--no-hardlinks", repository, root]);
    const stores = storesDirectory(rig.place.directories.stateDirectory);
    await run("git", ["clone", "-q", "--bare", "--no-hardlinks", root, rig.git.directoryOf("local")]);
    const uri = rig.repository.replace(/[^/]*$/, "local.git");
    const byUrl = () => Promise.resolve(create(RepositorySpecSchema, { uri }));
    let last = "";
    const session = async (kind: string, repository = () => localRepository(rig, root)): Promise<number> => {
      const { id, times, fetchedBytes } = await measured(rig, repository);
      last = id;
      for (const [name, ms] of Object.entries(times)) figures.add(`${kind} session: ${name}`, ms);
      figures.add(`${kind} session: fetched`, fetchedBytes / 1e6, "MB");
      return times.ready;
    };
    for (let round = 1; round <= longRounds; round++) {
      say(`local repository ${round} of ${longRounds}`);
      await rm(stores, { recursive: true, force: true });
      // A drift of the machine is to favour nobody.
      const before = round % 2 === 1 ? await clone(root, join(area, "clone")) : undefined;
      const first = await session("first");
      const second = await session("second");
      const changed = last;
      const [firstByUrl, secondByUrl] = [await session("by URL, first", byUrl), await session("by URL, second", byUrl)];
      figures.addRatio("by URL, second session ready / first", secondByUrl, firstByUrl);
      const cloned = before ?? (await clone(root, join(area, "clone")));
      figures.add("git clone --no-hardlinks --depth 1", cloned);
      figures.addRatio("first session ready / git clone", first, cloned);
      figures.addRatio("second session ready / first", second, first);
      await applyBoth(rig, { root, area, session: changed }, (ours, theirs) => {
        figures.add("apply --worktree of 1,000 files", ours);
        figures.add("git apply of the same", theirs);
        figures.addRatio("apply / git apply", ours, theirs);
      });
    }
  } finally {
    await rm(area, { recursive: true });
  }
};

/** What a caller sends for a directory. */
async function localRepository(rig: HostRig, root: string): Promise<RepositorySpec> {
  const source = new LocalSource({ stateDirectory: rig.place.directories.stateDirectory });
  const caller = { directory: () => Promise.resolve(root), signal: AbortSignal.timeout(TIME_MS) };
  const { spec } = await source.find({ repository: root, continues: false }, caller);
  return spec!;
}

/**
 * Runs a session that changes files. Returns what it took (ms): the snapshot, until its workspace is ready, and its phases; and the
 * bytes of the objects that it has fetched.
 */
async function measured(
  rig: HostRig,
  find: () => Promise<RepositorySpec>,
): Promise<{ id: string; times: Record<string, number> & { ready: number }; fetchedBytes: number }> {
  const signal = AbortSignal.timeout(TIME_MS);
  const start = performance.now();
  const repository = await find();
  const snapshot = performance.now() - start;
  const command = `git ls-files | head -${CHANGED} | while read -r file; do echo '// changed' >> "$file"; done`;
  const task = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;
  const { id } = await rig.sessions.create({
    spec: create(SessionSpecSchema, { task, repository }),
    container: create(ContainerSpecSchema, { memoryBytes: MEMORY_BYTES }),
  });
  let [ready, fetchedBytes] = [NaN, NaN];
  for await (const { event } of eachEvent(rig.sessions.watch(id, { afterSequence: 0, signal }))) {
    if (event.case === "workspaceReady") {
      ready = performance.now() - start;
      fetchedBytes = await packBytes((await rig.sessions.get(id)).containerId);
    }
    if (event.case === "sessionFinished") break;
  }
  const { phaseTimings, state, result } = await rig.sessions.get(id);
  if (result?.outcome.case !== "success") throw new Error(`Session ${id} ended as ${state}.`);
  const phases = phaseTimings.flatMap(({ phase, elapsed }) =>
    elapsed === undefined ? [] : [[Phase[phase].toLowerCase(), durationMs(elapsed)] as const],
  );
  return { id, times: { snapshot, ready, ...Object.fromEntries(phases) }, fetchedBytes };
}

/** Bytes of the packs that a session has fetched. What it was supplied with is elsewhere. */
async function packBytes(container: string): Promise<number> {
  const sizes = await docker(
    "exec",
    container,
    "find",
    "/base/repo.git/objects/pack",
    "-type",
    "f",
    "-printf",
    "%s\\n",
  );
  return sizes.split("\n").reduce((sum, size) => sum + Number(size), 0);
}

async function clone(root: string, target: string): Promise<number> {
  const start = performance.now();
  await run("git", ["clone", "-q", "--no-hardlinks", "--depth", "1", `file://${root}`, target]);
  const took = performance.now() - start;
  await rm(target, { recursive: true });
  return took;
}

/** Takes a session's changes into the files, and the same by hand, in turn; leaves the files as they were each time. */
async function applyBoth(
  { place }: HostRig,
  { root, area, session }: { root: string; area: string; session: string },
  told: (ours: number, theirs: number) => void,
): Promise<void> {
  const cli = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await claudecluster(place, args, { cwd: root });
    if (code !== 0) throw new Error(`claudecluster ${args.join(" ")}: ${stderr}`);
    return stdout;
  };
  const patch = join(area, "patch");
  await mkdir(area, { recursive: true });
  await writeFile(patch, await cli("diff", session));
  const git = (...args: string[]) => run("git", ["-C", root, ...args]);
  const timed = async (act: () => Promise<unknown>, undo: () => Promise<unknown>): Promise<number> => {
    // The index knows the files, as it does while somebody works there: it is no part of either.
    await git("status", "--short");
    const start = performance.now();
    await act();
    const took = performance.now() - start;
    await undo();
    return took;
  };
  for (let round = 1; round <= APPLY_ROUNDS; round++) {
    const { ours, theirs } = await inTurn(round, {
      theirs: () =>
        timed(
          () => git("apply", patch),
          () => git("apply", "-R", patch),
        ),
      ours: () =>
        timed(
          () => cli("apply", session, "--worktree"),
          () => cli("undo", session),
        ),
    });
    told(ours, theirs);
  }
}
