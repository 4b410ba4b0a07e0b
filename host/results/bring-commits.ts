import { buffer } from "node:stream/consumers";
import { AppError, Artifact_Kind, type SessionResult } from "../../proto/index.ts";
import type { NewBranch } from "../repository/apply-branch.ts";
import { type BroughtCommits, type BroughtRef, rebuildCommits } from "../repository/rebuild-commits.ts";
import type { PreparedChanges } from "../repository/session-changes.ts";
import type { UserRepository } from "../repository/user-repository.ts";
import type { Sessions } from "../session/sessions.ts";

/** Name that the agent gives what is checked out in the work tree. */
const HEAD = "head";

/** Branches for the commits that a session has left. */
export interface BroughtBranches {
  /** Commit that was checked out in the end, if Claude has made any below it. */
  head: BroughtRef | undefined;
  others: (BroughtRef & { branch: string })[];
  /** Refs that cannot be taken here, and why. */
  missing: { name: string; why: string }[];
}

/**
 * Makes a session's commits anew in the scratch repository of its changes, and names branches for them: all of them, or those
 * of one ref. Nothing of the user's is written. Throws COMMITS_INVALID; COMMITS_MISSING if there is no such ref;
 * COMMITS_NOT_APPLIED if the ref, or what was checked out, stands on a commit that the repository does not have.
 */
export async function bringCommits(
  sessions: Sessions,
  { sessionId, result, ref }: { sessionId: string; result: SessionResult; ref: string | undefined },
  {
    prepared: { scratch },
    repository: { objectFormat },
    branchOf,
    signal,
  }: {
    prepared: PreparedChanges;
    repository: UserRepository;
    /** Returns the name of the branch for a ref. */
    branchOf: (name: string) => string;
    signal: AbortSignal;
  },
): Promise<BroughtBranches> {
  let brought: BroughtCommits = { refs: [], missing: [] };
  if (result.commitsSizeBytes > 0n) {
    using artifact = await sessions.openArtifact(sessionId, Artifact_Kind.COMMITS);
    brought = await rebuildCommits(scratch, await buffer(artifact.read()), { objectFormat, signal });
  }
  const needed = brought.missing.find(({ name }) => name === (ref ?? HEAD));
  if (needed !== undefined) throw notHere(needed.parentId);
  const refs = brought.refs.filter(({ name }) => name !== HEAD && (ref === undefined || name === ref));
  if (ref !== undefined && refs.length === 0) {
    const names = brought.refs.map(({ name }) => name).filter((name) => name !== HEAD);
    throw new AppError("COMMITS_MISSING", `The session has left nothing with the name ${ref}.`, {
      help: names.length === 0 ? "It has left no such refs at all." : `It has left: ${names.join(", ")}.`,
    });
  }
  return {
    head: brought.refs.find(({ name }) => name === HEAD),
    others: refs.map((each) => ({ ...each, branch: branchOf(each.name) })),
    missing: brought.missing.map(({ name, parentId }) => ({ name, why: standsOn(parentId) })),
  };
}

/** Returns the branches as they are to be made. */
export function newBranches({ others }: BroughtBranches): NewBranch[] {
  return others.map(({ branch: name, commitId }) => ({ name, commitId }));
}

/** Returns the part of an apply's report that tells of the branches. */
export function describeBrought({ head, others, missing }: BroughtBranches) {
  return {
    commit_count: head?.commitCount ?? 0,
    ...(others.length > 0 && {
      other_branches: others.map(({ name, branch, commitId, commitCount }) => ({
        ref: name,
        branch,
        commit_id: commitId,
        commit_count: commitCount,
      })),
    }),
    ...(missing.length > 0 && { refs_missing: missing.map(({ name, why }) => ({ ref: name, why })) }),
  };
}

function standsOn(parentId: string): string {
  return `it stands on ${parentId}, which came from elsewhere and is not here`;
}

function notHere(parentId: string): AppError {
  return new AppError("COMMITS_NOT_APPLIED", `The commits cannot be taken: ${standsOn(parentId)}.`, {
    help: "Fetch that commit first, or take the files as one commit: leave --commits out.",
    metadata: { parent_id: parentId },
  });
}
