import { join } from "node:path";
import { type CommandResult, type RepositorySpec, type UserFile } from "../../proto/index.ts";
import { claudeArguments, type ClaudeSpec } from "../claude/argv.ts";
import { Conversation, type ConversationListener, type ConversationOptions } from "../claude/conversation.ts";
import { claudeEnvironment, commandEnvironment } from "../claude/environment.ts";
import { writeInstructions } from "../claude/instructions.ts";
import { type Opening, openingNote } from "../claude/opening.ts";
import { CLAIMABLE_VERSIONS, Spare } from "../claude/spare.ts";
import { readTranscript, writeTranscript } from "../claude/transcript.ts";
import { commandNames, copyUserFiles, INSTRUCTIONS } from "../claude/user-files.ts";
import type { AgentConfig } from "../config.ts";
import { listenerUrls } from "../git/listener-urls.ts";
import { isFull } from "../git/room.ts";
import { makeRepositories, openWorkspace, type Workspace } from "../git/workspace.ts";
import { type CommandOptions, runCommand } from "../process/command.ts";
import { findCommand } from "../process/find-command.ts";
import { killAllOf, processesOf } from "../process/kill-all.ts";
import type { Logger } from "../log.ts";
import type { Timeouts } from "../timeouts.ts";
import type { VersionReader } from "../versions.ts";
import { within } from "../wait.ts";

/** Step of cloning: its stage, and the share that is done (percent). */
export interface CloneStep {
  stage: string;
  percent?: number | undefined;
}

/** What of a session Claude is started with. */
export interface ClaudeShape {
  spec: ClaudeSpec;
  userFiles: readonly UserFile[];
  gitPrefixes: readonly string[];
}

/** Arguments and variables of a Claude. */
export type ClaudeStart = Pick<ConversationOptions, "args" | "environment">;

type StartOptions = ClaudeShape & { opening: Opening; log: Logger; signal: AbortSignal };

/**
 * Place in which sessions happen: this container, as configured. It knows of no session: each call says what it needs.
 */
export interface SessionPlace {
  /** Makes what opening a workspace begins with, while there is time for it. Never rejects: then opening makes it. */
  prepareWorkspace(options: { signal: AbortSignal }): Promise<unknown>;
  /** Clones the repository and checks it out. Throws as openWorkspace of the git directory does. */
  openWorkspace(options: {
    repository: RepositorySpec | undefined;
    gitPrefixes: readonly string[];
    signal: AbortSignal;
    onProgress(step: CloneStep): void;
  }): Promise<Workspace>;
  /** Copies files of the user's own set-up to where Claude looks for them, but for the instructions. Throws USER_FILES_NOT_WRITTEN. */
  copyUserFiles(files: readonly UserFile[], options: { signal: AbortSignal }): Promise<void>;
  /** Returns where Claude starts in the work tree. */
  directoryOf(repository: RepositorySpec | undefined): string;
  /** Writes what Claude is told beside its task. Throws INSTRUCTIONS_NOT_WRITTEN. */
  writeInstructions(shape: ClaudeShape, options: { cwd: string; signal: AbortSignal }): Promise<void>;
  /** Starts Claude in a directory and resolves once it answers. Throws CLAUDE_NOT_FOUND, CLAUDE_NOT_STARTED, CLAUDE_NOT_READY. */
  startClaude(options: StartOptions & ConversationListener & { cwd: string }): Promise<Conversation>;
  /** Returns whether the container's Claude can be started before it has a directory. */
  canWait(options: { signal: AbortSignal }): Promise<boolean>;
  /** Starts a Claude that waits to be told its directory, and resolves once it answers. Throws as startClaude does. */
  startSpare(options: StartOptions & { listener: ConversationListener }): Promise<Spare>;
  /** Returns what a Claude that waits is started with. */
  startOf(shape: ClaudeShape, opening: Opening): ClaudeStart;
  /** Writes a transcript to where Claude looks for it. Throws TRANSCRIPT_NOT_WRITTEN. */
  writeTranscript(
    conversationId: string,
    transcript: Buffer,
    options: { cwd: string; signal: AbortSignal },
  ): Promise<void>;
  /**
   * Returns the transcript that Claude has left; empty if there is none. Throws OUTPUT_TOO_LARGE, TRANSCRIPT_NOT_READ.
   */
  readTranscript(conversationId: string, options: { maxBytes: number; signal: AbortSignal }): Promise<Buffer>;
  /** Returns the directories without room among those that Claude and its tools write to, besides the workspace. */
  fullDirectories(): Promise<string[]>;
  /** Runs a command of the spec as Claude's user. Rejects with the signal's reason; its processes are killed then, as when it takes too long. */
  runCommand(options: CommandOptions & { spec: ClaudeSpec; gitPrefixes: readonly string[] }): Promise<CommandResult>;
  /** Returns how many processes of the session there are. */
  countProcesses(): number;
  /** Ends every process of the session. Throws PROCESSES_LEFT. */
  killLeftovers(): Promise<void>;
}

/** Returns the place that the configuration describes. */
export function sessionPlace(options: {
  config: AgentConfig;
  relay: {
    readonly modelPort: number;
    readonly proxyPort: number;
    readonly gitPort: number;
    readonly cutCount: number;
  };
  versions: Pick<VersionReader, "claude">;
  timeouts: Timeouts;
}): SessionPlace {
  const { config, relay, versions, timeouts } = options;
  const { sessionIdentity, baseIdentity, paths, home, path, claudeCommand } = config;
  const transcripts = { home, path, identity: sessionIdentity };
  const startOf = (shape: ClaudeShape, opening: Opening, { waits = false } = {}): ClaudeStart => {
    const urlConfig = listenerUrls(shape.gitPrefixes, relay.gitPort);
    return {
      args: claudeArguments(shape.spec, opening, { modelPort: relay.modelPort, waits }),
      environment: claudeEnvironment(shape.spec, { home, path, ...relay, urlConfig }),
    };
  };
  const claudeOf = async ({ userFiles }: ClaudeShape) => ({
    command: await findCommand(claudeCommand, path),
    identity: sessionIdentity,
    commands: commandNames(userFiles),
    timeouts,
  });
  const workspace = { paths, sessionIdentity, baseIdentity };
  let made: Promise<boolean> | undefined;
  return {
    prepareWorkspace: ({ signal }) => (made ??= makeRepositories({ ...workspace, signal })),
    openWorkspace: ({ repository, gitPrefixes, signal, onProgress }) =>
      openWorkspace({
        ...workspace,
        made,
        ...(repository !== undefined && { repository }),
        proxyUrl: `http://127.0.0.1:${relay.proxyPort}`,
        urlConfig: listenerUrls(gitPrefixes, relay.gitPort),
        onProgress,
        cutCount: () => relay.cutCount,
        signal,
      }),
    copyUserFiles: (files, options) => copyUserFiles(files, { ...transcripts, ...options }),
    directoryOf: (repository) => join(paths.workTree, repository?.snapshot?.subdirectory ?? ""),
    writeInstructions({ spec, userFiles }, { cwd, signal }) {
      const own = userFiles.find((file) => file.path === INSTRUCTIONS)?.data;
      // With its settings Claude Code reads the repository's by itself.
      const repository = spec.loadProjectSettings ? undefined : { workTree: paths.workTree, cwd };
      return writeInstructions({ own, repository }, { ...transcripts, signal });
    },
    async startClaude(options) {
      return await Conversation.start({
        ...options,
        ...(await claudeOf(options)),
        ...startOf(options, options.opening),
        firstNote: openingNote(options.opening),
      });
    },
    async canWait({ signal }) {
      const version = versions.claude();
      return (await within(version, timeouts.versionMs, signal)) && CLAIMABLE_VERSIONS.includes(await version);
    },
    async startSpare(options) {
      const start = startOf(options, options.opening, { waits: true });
      return await Spare.start({ ...options, ...(await claudeOf(options)), ...start });
    },
    startOf: (shape, opening) => startOf(shape, opening, { waits: true }),
    runCommand({ spec, gitPrefixes, ...options }) {
      const urlConfig = listenerUrls(gitPrefixes, relay.gitPort);
      const env = commandEnvironment(spec, { home, path, ...relay, urlConfig });
      return runCommand({ ...options, env, identity: sessionIdentity, timeouts });
    },
    countProcesses: () => (sessionIdentity === undefined ? 0 : processesOf(sessionIdentity.uid).length),
    writeTranscript: (conversationId, transcript, options) =>
      writeTranscript(transcripts, conversationId, transcript, options),
    readTranscript: (conversationId, options) => readTranscript(transcripts, conversationId, options),
    async fullDirectories() {
      const directories = ["/tmp", home];
      const full = await Promise.all(directories.map(isFull));
      return directories.filter((_, at) => full[at]);
    },
    async killLeftovers() {
      if (sessionIdentity !== undefined) await killAllOf(sessionIdentity);
    },
  };
}
