import { create } from "@bufbuild/protobuf";
import type { Logger } from "../log.ts";
import {
  AppError,
  Artifact_Kind,
  type ArtifactKind,
  CloneProgressSchema,
  type EventBody,
  type FileChange,
  type LeftWork,
  type RepositorySpec,
  WorkspaceReadySchema,
} from "../../proto/index.ts";
import type { Workspace } from "../git/workspace.ts";
import { childrenCpuTicks } from "../process/cpu-time.ts";
import type { Timeouts } from "../timeouts.ts";
import { patiently } from "../wait.ts";
import { ChangesStream } from "./changes-stream.ts";
import {
  type Collected,
  collectChanges,
  type CollectedLeftWork,
  collectLeftWork,
  collectTranscript,
  endLeftovers,
  NOTHING_COLLECTED,
} from "./collect.ts";
import type { EarlyClaude } from "./early-claude.ts";
import type { SessionPlace } from "./session-place.ts";

/** Surroundings of a session's files, and where events about them go. */
export interface SessionFilesOptions {
  place: SessionPlace;
  timeouts: Timeouts;
  log: Logger;
  emit(event: EventBody): void;
  /** Resolves when more may be emitted, or with false if there will be no room. */
  roomy(): Promise<boolean>;
}

/** Files of a session: its workspace, whose changes are told while it runs, and what is left of it in the end. */
export class SessionFiles {
  readonly #options: SessionFilesOptions;
  #workspace: Workspace | undefined;
  #changes: ChangesStream | undefined;
  /** The workspace has the patch of an earlier session. */
  #restored = false;
  /** Takes the paths that preparing changes. */
  #prepared: Set<string> | undefined;
  #collected = NOTHING_COLLECTED;
  #left: CollectedLeftWork = { leftWork: undefined, commits: Buffer.alloc(0) };
  #transcript: Buffer = Buffer.alloc(0);

  constructor(options: SessionFilesOptions) {
    this.#options = options;
  }

  /** Commit that the session started from. Empty: there is none, or none yet. */
  get baseCommitId(): string {
    return this.#workspace?.baseCommitId ?? "";
  }

  /** Changes and patch. Until they are collected there are none. */
  get collected(): Collected {
    return this.#collected;
  }

  /** Work beside the work tree. Undefined: not searched, or not known. */
  get leftWork(): LeftWork | undefined {
    return this.#left.leftWork;
  }

  /** Artifact of the commits that Claude made. Empty: there are none, or they are not collected. */
  get commits(): Buffer {
    return this.#left.commits;
  }

  /** Transcript of the conversation. Empty: there is none, or it is not collected yet. */
  get transcript(): Buffer {
    return this.#transcript;
  }

  /**
   * Opens the workspace and applies the patch of an earlier session. Returns the path of the directory that Claude starts
   * in.
   */
  async open(options: {
    repository: RepositorySpec | undefined;
    gitPrefixes: readonly string[];
    patch: Buffer | undefined;
    /** Claude, if it was started already. */
    claude?: Pick<EarlyClaude, "decided" | "started" | "prepared"> | undefined;
    signal: AbortSignal;
  }): Promise<string> {
    const { patch, claude, signal, ...start } = options;
    const { place, emit, roomy, log } = this.#options;
    const workspace = (this.#workspace = await place.openWorkspace({
      ...start,
      signal,
      onProgress: ({ stage, percent }) =>
        emit({
          case: "cloneProgress",
          value: create(CloneProgressSchema, { stage, ...(percent !== undefined && { percent }) }),
        }),
    }));
    const { baseCommitId } = workspace;
    // A small repository is there sooner than its version says whether Claude can wait.
    await claude?.decided;
    const started = { claudeStarted: claude?.started === true, claudePrepared: claude?.prepared === true };
    emit({ case: "workspaceReady", value: create(WorkspaceReadySchema, { baseCommitId, ...started }) });
    if (patch !== undefined) await workspace.restore(patch, { signal });
    const onChange = ({ path }: FileChange) => this.#prepared?.add(path);
    this.#changes = new ChangesStream({ workspace, emit, onChange, roomy, log });
    this.#restored = patch !== undefined;
    return workspace.cwd;
  }

  /** Does work that prepares the files, before `watch`. Returns the paths of the files that it has changed. */
  async prepare(work: () => Promise<unknown>, signal: AbortSignal): Promise<string[]> {
    if (this.#restored) await this.tell(signal);
    const paths = (this.#prepared = new Set<string>());
    try {
      await work();
      await this.tell(signal);
    } finally {
      this.#prepared = undefined;
    }
    return [...paths];
  }

  /** Begins to tell of changes. */
  watch(): void {
    this.#changes?.start();
    if (this.#restored) this.#changes?.poke();
  }

  /** Looks at the files sooner if an event of Claude's means that they have changed. */
  notice(event: EventBody): void {
    this.#changes?.notice(event);
  }

  /** Emits what has changed so far. What cannot be read now is told later, or with the result. Does not throw. */
  async tell(signal: AbortSignal): Promise<void> {
    const { log, timeouts } = this.#options;
    const patience = { ms: timeouts.tellChangesMs, progress: childrenCpuTicks, signal };
    try {
      await patiently(patience, async (signal) => this.#changes?.scan({ signal }));
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, "scanning the workspace after a turn failed");
    }
  }

  /**
   * Returns an artifact: the transcript once the session is over, the patch as it is now or was collected; empty if there is
   * no workspace yet. Throws SESSION_NOT_FINISHED, TRANSCRIPT_MISSING, COMMITS_MISSING, and what collecting throws.
   */
  async readArtifact(kind: ArtifactKind, options: { over: boolean; signal: AbortSignal }): Promise<Buffer> {
    if (kind === Artifact_Kind.TRANSCRIPT) {
      if (options.over && this.#transcript.length > 0) return this.#transcript;
      if (options.over) throw new AppError("TRANSCRIPT_MISSING", "Claude left no transcript.");
      throw new AppError("SESSION_NOT_FINISHED", "The transcript is there once the session has finished.");
    }
    if (kind === Artifact_Kind.COMMITS) {
      if (options.over && this.commits.length > 0) return this.commits;
      if (options.over) throw new AppError("COMMITS_MISSING", "Claude left no commits.");
      throw new AppError("SESSION_NOT_FINISHED", "The commits are there once the session has finished.");
    }
    // A check may write what is not Claude's.
    if (this.#workspace === undefined || this.#collected !== NOTHING_COLLECTED) return this.#collected.patch;
    return (await this.#workspace.collect(options)).patch;
  }

  /** Ends what runs in the workspace, and collects patch, transcript and left work. Claude must be gone. */
  async collect(options: { conversationId: string; signal: AbortSignal }): Promise<void> {
    const { place, log, timeouts } = this.#options;
    const workspace = this.#workspace;
    const changes = this.#changes;
    await changes?.stop();
    // From here on nothing runs that could change a file.
    const failure = await endLeftovers(place, log);
    if (workspace === undefined || changes === undefined) return;
    const patience = { ms: timeouts.collectMs, progress: childrenCpuTicks, signal: options.signal };
    await patiently(patience, async (signal) => {
      const [collected, transcript] = await Promise.all([
        collectChanges(workspace, changes, { signal, log }),
        collectTranscript(place, options.conversationId, { signal, log }),
      ]);
      this.#transcript = transcript;
      this.#collected = { ...collected, failure: collected.failure ?? failure };
      // Asking a submodule what it is may have run a filter of its configuration.
      await endLeftovers(place, log);
      this.#left = await collectLeftWork(workspace, this.#collected, { signal, log });
    });
  }
}
