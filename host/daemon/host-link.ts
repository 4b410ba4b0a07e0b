import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import semver from "semver";
import { AppError, asAppError } from "../../proto/index.ts";
import type {
  CheckRuntimeResponse,
  GetHostInfoResponse,
  GetUsageRequestSchema,
  UsageSum,
} from "../../proto/control.ts";
import type { HostDirectories } from "../directories.ts";
import { rest } from "../sleep.ts";
import { ControlClient, type TcpAddress } from "../control/control-client.ts";
import { hostError } from "../control/control-error.ts";
import { PROTOCOL_VERSION } from "../control/protocol-version.ts";
import { RemoteSessions } from "../control/remote-sessions.ts";
import { VERSION } from "../version.ts";
import { explainCredential } from "./explain-credential.ts";
import { ExclusiveLock, hostLockPath } from "../exclusive-lock.ts";
import { readHostAddress } from "./host-address.ts";
import { readRemoteHost } from "./remote-host.ts";
import type { SnapshotReceiver } from "../source/snapshot-sender.ts";
import { checkSocketPath, makeRuntimeDirectory, socketPath } from "./runtime-directory.ts";
import { hostLogPath, startHost } from "./start-host.ts";

/** A host that ends needs a moment, and so does one that starts on a loaded machine (ms). */
const TIMEOUT_MS = 30_000;
/** A host that does not answer by then hangs (ms). */
const ANSWER_MS = 5_000;
/** Between looks at what another process is doing (ms). */
const LOOK_AGAIN_MS = 25;

/** Directories of a host, and how to start one. */
export interface HostLinkOptions {
  directories: HostDirectories;
  /** Environment of the front. It may name a host elsewhere, and then no other one is looked for or started. */
  env: NodeJS.ProcessEnv;
  /** Command that starts a host. Default: that of this program, from a copy that outlives an installed package. */
  command?: readonly string[];
  /** Version of this front. Default: that of this program. */
  version?: string;
  /** Time that a host has to answer, to start or to end (ms). Default: 30 s. */
  timeoutMs?: number;
}

/**
 * Link of a front to its host. It finds the host, starts one if there is none, and finds the next one after it has
 * ended.
 */
export class HostLink implements Disposable {
  readonly sessions: RemoteSessions;
  /** Receiver of snapshots, for a host elsewhere. Undefined: the host shares the front's directories. */
  readonly receiver: SnapshotReceiver | undefined;
  readonly #remote: TcpAddress | undefined;
  readonly #client: ControlClient;
  readonly #options: HostLinkOptions;
  readonly #timeoutMs: number;
  /** The socket where a host is looked for. */
  #socket: string;
  #connecting: Promise<GetHostInfoResponse> | undefined;

  /** Throws what readRemoteHost throws. */
  constructor(options: HostLinkOptions) {
    this.#options = options;
    this.#remote = readRemoteHost(options.env);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#socket = socketPath(options.directories.runtimeDirectory);
    const remote = this.#remote;
    this.#client = new ControlClient(remote ?? (() => this.#socket));
    this.sessions = new RemoteSessions({
      client: this.#client,
      connect: async () => {
        await this.connect();
      },
      explain: (error) => (remote === undefined ? explainCredential(error, options.env) : error),
    });
    this.receiver = remote && { url: remote.url, upload: (upload) => this.sessions.upload(upload) };
  }

  /**
   * Makes sure that a host of this version or a compatible one answers. Throws HOST_UNRESPONSIVE, HOST_INCOMPATIBLE,
   * HOST_STATE_DIFFERS, and what the host could not start for.
   */
  connect(): Promise<GetHostInfoResponse> {
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  /**
   * Returns the host that answers now. Undefined: there is none on this machine, and none is started. Throws HOST_UNRESPONSIVE,
   * RUNTIME_DIR_TOO_LONG; of a host elsewhere what `connect` throws, and CONNECTION_LOST if none answers.
   */
  async find(): Promise<GetHostInfoResponse | undefined> {
    if (this.#remote !== undefined) return await this.#connectRemote(this.#remote);
    const { runtimeDirectory, stateDirectory } = this.#options.directories;
    checkSocketPath(runtimeDirectory);
    const own = socketPath(runtimeDirectory);
    // It may have been started where the environment has another runtime directory.
    for (const path of new Set([own, readHostAddress(stateDirectory)?.socket ?? own])) {
      this.#socket = path;
      const info = await this.#ask();
      if (info !== undefined) return info;
    }
    this.#socket = own;
    return undefined;
  }

  async #ask(): Promise<GetHostInfoResponse | undefined> {
    try {
      return await this.#client.host.getHostInfo({}, { timeoutMs: Math.min(ANSWER_MS, this.#timeoutMs) });
    } catch (error) {
      const known = hostError(error);
      if (known.reason === "CONNECTION_LOST" || known.reason === "HOST_CLOSING") return undefined;
      throw known.reason === "HOST_UNRESPONSIVE" ? this.#unresponsive() : known;
    }
  }

  /** Makes the host look at its runtime. Throws HOST_OUTDATED, CONNECTION_LOST. */
  async checkRuntime(options: { signal: AbortSignal }): Promise<CheckRuntimeResponse> {
    return await this.#client.host.checkRuntime({}, options).catch((error: unknown) => {
      throw hostError(error);
    });
  }

  /** Returns what sessions have used. Throws what `connect` throws, DAY_INVALID, HOST_OUTDATED. */
  async usage(request: MessageInitShape<typeof GetUsageRequestSchema>): Promise<UsageSum[]> {
    await this.connect();
    const sums: UsageSum[] = [];
    try {
      for await (const response of this.#client.host.getUsage(request)) sums.push(...response.sums);
    } catch (error) {
      throw hostError(error);
    }
    return sums;
  }

  /** Asks the host to end. Throws HOST_BUSY, CONNECTION_LOST. */
  async stopHost(options: { onlyWithoutLiveSessions: boolean }): Promise<void> {
    await this.#client.host.stopHost(options).catch((error: unknown) => {
      throw hostError(error);
    });
  }

  /** Returns the address of the host's page, for one browser. Throws CALLER_REMOTE, PAGE_MISSING, LISTEN_FAILED, HOST_OUTDATED. */
  async openPage(): Promise<string> {
    await this.connect();
    const { url } = await this.#client.host.openPage({}).catch((error: unknown) => {
      throw hostError(error);
    });
    return url;
  }

  /** Has the page served no more, and every browser signed out. Throws CALLER_REMOTE, CONNECTION_LOST. */
  async closePage(): Promise<void> {
    await this.#client.host.closePage({}).catch((error: unknown) => {
      throw hostError(error);
    });
  }

  /** Resolves once no host has these directories. Throws HOST_UNRESPONSIVE. */
  async gone(): Promise<void> {
    const { runtimeDirectory, stateDirectory } = this.#options.directories;
    for (const endMs = performance.now() + this.#timeoutMs; performance.now() < endMs; await rest(LOOK_AGAIN_MS)) {
      using stateLock = ExclusiveLock.take(hostLockPath(stateDirectory));
      using socketLock = ExclusiveLock.take(hostLockPath(runtimeDirectory));
      if (stateLock !== undefined && socketLock !== undefined) return;
    }
    throw this.#unresponsive();
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  async #connect(): Promise<GetHostInfoResponse> {
    if (this.#remote !== undefined) return await this.#connectRemote(this.#remote);
    const { runtimeDirectory } = this.#options.directories;
    makeRuntimeDirectory(runtimeDirectory);
    const endMs = performance.now() + this.#timeoutMs;
    for (;;) {
      const info = (await this.#look()) ?? (await this.#start());
      if (info !== undefined && (await this.#fits(info))) return info;
      if (performance.now() > endMs) throw this.#unresponsive();
      await rest(LOOK_AGAIN_MS);
    }
  }

  async #connectRemote({ url, token }: TcpAddress): Promise<GetHostInfoResponse> {
    // What is wrong with it is not the host's.
    await token();
    const info = await this.#ask();
    if (info === undefined) {
      throw new AppError("CONNECTION_LOST", `No host answers at ${url}.`, {
        retryable: true,
        help: "Look there whether `claudecluster serve --listen` runs; CLAUDECLUSTER_HOST says where it is looked for.",
      });
    }
    if (info.protocolVersion === PROTOCOL_VERSION) return info;
    const { version = VERSION } = this.#options;
    throw incompatible(info, version, "Use the same version at both ends.");
  }

  /** Starts a host unless somebody else is about to. Undefined: look again. */
  async #start(): Promise<GetHostInfoResponse | undefined> {
    const { directories, env, command } = this.#options;
    using lock = ExclusiveLock.take(join(directories.runtimeDirectory, "start.lock"));
    if (lock === undefined) return undefined;
    const found = await this.#look();
    if (found !== undefined) return found;
    try {
      await startHost(directories, { command, env });
    } catch (error) {
      if (asAppError(error).reason !== "HOST_RUNNING") throw error;
      // One that is ending, or that somebody has started by hand just now.
      return undefined;
    }
    return this.#look();
  }

  /** As `find`; a host that does not answer yet may do so later. */
  async #look(): Promise<GetHostInfoResponse | undefined> {
    return await this.find().catch((error: unknown) => {
      if (asAppError(error).reason === "HOST_UNRESPONSIVE") return undefined;
      throw error;
    });
  }

  #unresponsive(): AppError {
    const { runtimeDirectory, stateDirectory } = this.#options.directories;
    const processId = readHostAddress(stateDirectory)?.processId;
    const which = processId === undefined ? "its process" : `its process: kill ${processId}`;
    return new AppError("HOST_UNRESPONSIVE", "A host is running, but it does not answer.", {
      retryable: true,
      help: `Look at its log (${hostLogPath(stateDirectory)}), or end ${which}`,
      metadata: { runtime_directory: runtimeDirectory },
    });
  }

  /** Whether to go on with this host. An older one without sessions is asked to make room for ours. */
  async #fits(info: GetHostInfoResponse): Promise<boolean> {
    const { directories, version = VERSION } = this.#options;
    if (info.stateDirectory !== directories.stateDirectory) {
      throw new AppError("HOST_STATE_DIFFERS", `The running host keeps its sessions in ${info.stateDirectory}.`, {
        help: `Set CLAUDECLUSTER_RUNTIME_DIR too, to have one for ${directories.stateDirectory}.`,
      });
    }
    // What is no version is not older.
    const newer = semver.gt(version, semver.parse(info.hostVersion) ?? version);
    if (newer) {
      try {
        await this.stopHost({ onlyWithoutLiveSessions: true });
        return false;
      } catch (error) {
        const { reason } = asAppError(error);
        if (reason !== "HOST_BUSY" && reason !== "HOST_OUTDATED") return false;
      }
    }
    if (info.protocolVersion === PROTOCOL_VERSION) return true;
    throw incompatible(
      info,
      version,
      newer
        ? "It has live sessions. Once they are done, this version takes its place by itself."
        : "Update this one, or end the host: claudecluster shutdown.",
    );
  }
}

function incompatible({ hostVersion }: GetHostInfoResponse, version: string, help: string): AppError {
  return new AppError(
    "HOST_INCOMPATIBLE",
    `The running host is version ${hostVersion}, this is ${version}, and they do not understand each other.`,
    { help, metadata: { host_version: hostVersion, version } },
  );
}
