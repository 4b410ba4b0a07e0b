import { realpathSync, statSync } from "node:fs";
import { isAbsolute, parse } from "node:path";
import { clone, create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { AppError, asAppError, ContainerSpecSchema, MAX_ATTEMPTS, SessionSpecSchema } from "../../proto/index.ts";
import {
  ApplyChangesRequest_Target as Target,
  type DirectoryService,
  type StartSessionsRequest,
} from "../../proto/control.ts";
import { expandHome, homeDirectory } from "../directories.ts";
import { compareAttempts } from "../present/attempts-text.ts";
import { givenPathText } from "../present/path-text.ts";
import { readSummary } from "../present/read-session.ts";
import { Journal } from "../repository/journal.ts";
import { applySession, journalsDirectory } from "../results/apply-session.ts";
import { compareSessions } from "../results/compare-sessions.ts";
import { listDirectories, requireDirectory } from "../results/session-directories.ts";
import { undoSession } from "../results/undo-session.ts";
import { createAttempts } from "../session/create-attempts.ts";
import type { CreateSessionRequest, Sessions } from "../session/sessions.ts";
import { NO_REPOSITORY } from "../source/address-source.ts";
import type { RepositorySource } from "../source/repository-source.ts";
import { requireOwnUser } from "./caller.ts";
import { toApplyResponse, toComparison, toUndoResponse } from "./directory-responses.ts";

/** Directories of the host's machine, as far as callers may use them. */
export interface DirectoryOptions {
  sessions: Sessions;
  /** Returns the source of what goes into sessions. */
  source: () => RepositorySource;
  /** State directory of the host. */
  stateDirectory: string;
  /** Signal that is aborted when the host ends. */
  closing: AbortSignal;
}

/** Returns the implementation of DirectoryService. */
export function directoryService(options: DirectoryOptions): ServiceImpl<typeof DirectoryService> {
  const { sessions, stateDirectory, closing } = options;
  const readingOf = (context: HandlerContext) => AbortSignal.any([context.signal, closing]);
  return {
    async listDirectories(_request, { values }) {
      requireOwnUser(values);
      return { directories: await listDirectories(sessions) };
    },
    async startSessions(request, context) {
      requireOwnUser(context.values);
      const created = await toCreate(options, request, readingOf(context));
      return { sessions: await createAttempts(sessions, created, countOf(request)) };
    },
    async applyChanges(request, context) {
      requireOwnUser(context.values);
      const { sessionId, target, branch, stage, commits, paths, dryRun } = request;
      const directory = await directoryOf(sessions, request.directory, sessionId);
      const as = target === Target.WORK_TREE ? "worktree" : "branch";
      const wanted = { sessionId, directory, as, stage, commits, paths, dryRun, branch: branch || undefined } as const;
      // What is written is not left half way since a page was closed.
      const signal = dryRun ? readingOf(context) : closing;
      return toApplyResponse(await applySession(sessions, wanted, { stateDirectory, signal }));
    },
    async undoApply({ sessionId, directory: given }, { values }) {
      requireOwnUser(values);
      const last = given === "" ? Journal.lastWorkTree(journalsDirectory(stateDirectory), sessionId) : undefined;
      const directory = await directoryOf(sessions, last ?? given, sessionId);
      return toUndoResponse(await undoSession(sessions, { sessionId, directory }, { stateDirectory, signal: closing }));
    },
    async compareSessions({ sessionIds, directory: given }, context) {
      requireOwnUser(context.values);
      const read = await Promise.all(sessionIds.map((id) => readSummary(sessions, id)));
      const { attempts, next } = compareAttempts(read.map(({ summary }) => summary));
      const ranking = { rankedSessionIds: attempts.map(({ session_id: id }) => id), firstIsGood: next !== undefined };
      try {
        const directory = await directoryOf(sessions, given, sessionIds[0] ?? "");
        const signal = readingOf(context);
        const report = await compareSessions(sessions, { sessionIds, directory }, { stateDirectory, signal });
        return { ...ranking, ...toComparison(report) };
      } catch (error) {
        const known = asAppError(error);
        if (known.kind === "INTERNAL") throw error;
        return { ...ranking, mergeProblem: known.toSentence() };
      }
    },
  };
}

/** The directory that is meant, without links. */
async function directoryOf(sessions: Sessions, given: string, sessionId: string): Promise<string> {
  return checkDirectory(given === "" ? requireDirectory(await sessions.get(sessionId)) : given);
}

function ownHome(): string {
  return homeDirectory(process.env);
}

/** Throws DIRECTORY_INVALID for what is no absolute path of a directory that is there. */
function checkDirectory(given: string): string {
  const path = expandHome(given, ownHome);
  if (!isAbsolute(path)) throw invalid(given, "is no absolute path");
  try {
    if (statSync(path).isDirectory()) return realpathSync(path);
  } catch (error) {
    throw invalid(given, "cannot be read", error);
  }
  throw invalid(given, "is no directory");
}

async function toCreate(
  { source }: DirectoryOptions,
  { directory: given, includePaths: include, spec, container }: StartSessionsRequest,
  signal: AbortSignal,
): Promise<CreateSessionRequest> {
  const wanted = spec === undefined ? create(SessionSpecSchema) : clone(SessionSpecSchema, spec);
  const directory = given === "" ? NO_REPOSITORY : checkDirectory(given);
  // By intent nobody has all of these in mind; the command line takes them.
  if ([realpathSync(ownHome()), parse(directory).root].includes(directory))
    throw invalid(given, "is all that there is of yours");
  const { depth = 0 } = wanted.repository ?? {};
  const found = await source().find(
    {
      repository: directory,
      include,
      continues: wanted.previousSessionId !== "" || wanted.afterSessionId !== "",
      ...(depth !== 0 && { history: depth < 0 ? "all" : depth }),
      ...(wanted.userFiles !== undefined && { userFiles: [] }),
    },
    { directory: () => Promise.resolve(directory), signal },
  );
  if (found.spec !== undefined) wanted.repository = found.spec;
  wanted.userFiles ??= found.userFiles!;
  return { spec: wanted, container: container ?? create(ContainerSpecSchema) };
}

function countOf({ attemptCount }: StartSessionsRequest): number {
  if (attemptCount >= 0 && attemptCount <= MAX_ATTEMPTS) return attemptCount || 1;
  throw new AppError("LIMIT_INVALID", `There are no ${attemptCount} attempts.`, {
    help: `Ask for 1 to ${MAX_ATTEMPTS}.`,
  });
}

function invalid(given: string, why: string, cause?: unknown): AppError {
  return new AppError("DIRECTORY_INVALID", `${givenPathText(given)} ${why}.`, {
    help: "Name a directory of the host's machine by its whole path.",
    metadata: { directory: given },
    cause,
  });
}
