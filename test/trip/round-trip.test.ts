import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { asAppError } from "../../proto/index.ts";
import { applyToBranch } from "../../host/repository/apply-branch.ts";
import { applyToWorkTree } from "../../host/repository/apply-work-tree.ts";
import { Journal } from "../../host/repository/journal.ts";
import { prepareChanges, type SessionChanges } from "../../host/repository/session-changes.ts";
import { undoApply } from "../../host/repository/undo.ts";
import { findRepository } from "../../host/repository/user-repository.ts";
import { snapshotStart } from "../../host/results/session-patch.ts";
import { SnapshotStores, storesDirectory } from "../../host/snapshots/snapshot-stores.ts";
import { LocalSource } from "../../host/source/local-source.ts";
import { editRandomly, randomFrom } from "../git/random-edits.ts";
import { makeRandomly } from "../git/random-state.ts";
import { isIgnored, RoundTrip } from "../git/round-trip.ts";
import { seedGroups } from "../git/seeds.ts";
import { readTree } from "../git/tree-snapshot.ts";
import { makeUserDirectory } from "../git/user-directory.ts";
import { requireRoot, SESSION, WorkArea } from "../git/work-area.ts";

beforeAll(requireRoot);
const signal = AbortSignal.timeout(3_000_000);

// The host's code and the agent's, without a container between them: test/e2e/round-trip.test.ts has one.
for (const [seed = 0] of seedGroups({ first: 1, last: 12, perGroup: 1 })) {
  test(`has what a session made exactly in the user's files, and touches nothing before (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const user = makeUserDirectory();
    const kind = makeRandomly(user, random);
    await using area = new WorkArea();
    const stateDirectory = join(area.directory, "sources");
    const trip = new RoundTrip(user);

    const source = new LocalSource({ stateDirectory });
    const { spec } = await source.find(
      { repository: user.root, continues: false },
      { directory: () => Promise.resolve("/"), signal },
    );
    const { snapshot } = spec!;
    await new SnapshotStores(storesDirectory(stateDirectory)).open("ses", snapshot!, { depth: spec!.depth, signal });
    trip.expectUntouched();

    spec!.uri = `${(await area.server()).url}/repositories/${snapshot!.store}/sessions/ses`;
    const workspace = await area.open(spec);
    const start = readTree(workspace.workTree);
    editRandomly(workspace.workTree, random);
    execFileSync("chown", ["-Rh", `${SESSION.uid}:${SESSION.gid}`, workspace.workTree]);
    const end = readTree(workspace.workTree, isIgnored(start));
    const collected = await workspace.collect({ signal, last: true });
    expect(collected.unreadablePaths).toEqual([]);

    const changes: SessionChanges = {
      sessionId: "ses",
      startCommitId: snapshot!.untrackedCommitId,
      ...snapshotStart(snapshot),
      startFrom: "",
      patch: collected.patch,
      listed: { changes: collected.changes, changeCount: collected.changes.length },
      treeId: collected.treeId,
    };
    const repository = await findRepository(user.root, { signal });
    const startStores = [join(storesDirectory(stateDirectory), snapshot!.store, "objects")];
    if (collected.changes.length === 0) return;
    await using prepared = await prepareChanges(repository, changes, { startStores, signal });
    expect(prepared.proven).toBe(true);
    trip.expectUntouched({ objects: false });

    using journal = Journal.open(join(area.directory, "applied"), repository.workTree);
    const refused = await applyToWorkTree(repository, prepared, { stage: false, journal, signal }).then(
      async () => trip.expectApplied({ start, end, now: await user.take() }),
      (error: unknown) => asAppError(error),
    );
    if (refused === undefined) {
      await undoApply(repository, { journal, signal });
      trip.expectUndone();
    } else {
      trip.expectBlocked(`${kind}: ${refused.message}`);
    }
    if (refused !== undefined || seed % 4 === 0) {
      const { commitId } = await applyToBranch(repository, prepared, { branch: "trip", message: "x", journal, signal });
      expect(user.git("rev-parse", `${commitId}^{tree}`).trim()).toBe(collected.treeId);
      await undoApply(repository, { journal, signal });
      trip.expectUndone();
    }
  }, 60_000);
}
