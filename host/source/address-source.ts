import { create } from "@bufbuild/protobuf";
import { AppError, cutChars, RepositorySpecSchema } from "../../proto/index.ts";
import { givenPathText } from "../present/path-text.ts";
import type { FoundRepository, RepositorySource, RepositoryWish } from "./repository-source.ts";

/** Word of a caller for no repository at all. */
export const NO_REPOSITORY = "none";
const ALL = -1;
const FRONT_THERE = "let Claude Code start `claudecluster mcp` where they are, with this host as CLAUDECLUSTER_HOST.";

/** Source for callers on other machines: repositories are cloned from an address. Without one the workspace is empty. */
export class AddressSource implements RepositorySource {
  async find(wish: RepositoryWish): Promise<FoundRepository> {
    if (wish.userFiles !== undefined && wish.userFiles.length > 0) throw userFilesElsewhere();
    if (wish.repository === undefined || wish.repository === NO_REPOSITORY) return { spec: noRepository(wish) };
    if (/^(?:\.{1,2}(?:[/\\]|$)|[/~\\]|[a-z]:[/\\]|file:)/i.test(wish.repository)) throw elsewhere(wish.repository);
    return { spec: atAddress(wish.repository, wish) };
  }
}

/** Returns the spec of no repository. Throws REF_WITHOUT_REPOSITORY or INCLUDE_NOT_LOCAL if the wish has a ref or files. */
export function noRepository({ ref, include = [] }: RepositoryWish): undefined {
  if (ref !== undefined) {
    throw new AppError("REF_WITHOUT_REPOSITORY", "There is a ref but no repository.", {
      help: "Give both, or neither.",
    });
  }
  if (include.length > 0) throw includeNotLocal();
}

/** Returns the spec of the repository at an address. Throws INCLUDE_NOT_LOCAL, HISTORY_INVALID. */
export function atAddress(uri: string, { ref = "", history, include = [] }: RepositoryWish) {
  if (include.length > 0) throw includeNotLocal();
  return create(RepositorySpecSchema, { uri, ref, depth: depthOf(history) });
}

/** Returns the depth of a session's spec: 0 for the default, -1 for all history, or so many commits. Throws HISTORY_INVALID. */
export function depthOf(history: RepositoryWish["history"]): number {
  if (history === undefined) return 0;
  if (history === "all") return ALL;
  if (Number.isInteger(history) && history >= 1 && history <= 0x7fffffff) return history;
  throw new AppError("HISTORY_INVALID", `There is no history of ${history} commits.`, {
    help: 'Give a number from 1, or "all".',
  });
}

function elsewhere(path: string): AppError {
  return new AppError(
    "REPOSITORY_ELSEWHERE",
    `${givenPathText(cutChars(path, 256))} is a directory, which this server does not see.`,
    {
      help: `Name an http(s) URL, or "none". For directories: ${FRONT_THERE}`,
    },
  );
}

function userFilesElsewhere(): AppError {
  return new AppError("USER_FILES_ELSEWHERE", "This server is on another machine than the user's files.", {
    help: `Leave user_files out, and put what Claude is to know into the task. For files: ${FRONT_THERE}`,
  });
}

function includeNotLocal(): AppError {
  return new AppError("INCLUDE_NOT_LOCAL", "Files to include are named, but no directory that they are in.", {
    help: "Name a directory of this machine as the repository, or leave them out.",
  });
}
