import { type Duplex, type Readable, addAbortSignal } from "node:stream";
import type {
  ContainerCreateOptions,
  ContainerInfo,
  ContainerInspectInfo,
  ImageInspectInfo,
  VolumeCreateOptions,
  VolumeInspectInfo,
} from "dockerode";
import type { EngineAddress } from "./engine-address.ts";
import { type Transport, openTransport } from "./engine-transport.ts";
import { EXEC_START, execConfig } from "./exec-config.ts";

/** Facts of `GET /info` that are read. Other engines may lack any of them. */
export interface EngineInfo {
  ServerVersion?: string;
  OSType?: string;
  OperatingSystem?: string;
  Architecture?: string;
  /** Number of CPUs that the engine may use. It may be on another machine than this one. */
  NCPU?: number;
  /** Memory in bytes. */
  MemTotal?: number;
  MemoryLimit?: boolean;
  SwapLimit?: boolean;
  CpuCfsQuota?: boolean;
  PidsLimit?: boolean;
  SecurityOptions?: string[];
  CgroupVersion?: string;
  CgroupDriver?: string;
  /** Driver of its storage. */
  Driver?: string;
  DefaultRuntime?: string;
  /** Version of Buildah. Only Podman says it, and always does. */
  BuildahVersion?: string;
}

/** Part of a container's statistics that is read. What is not running has none. */
export interface ContainerStats {
  memory_stats?: { usage?: number; stats?: Record<string, number> };
}

interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: string;
  query?: Record<string, unknown>;
  body?: object;
  /** A tar archive, in place of a body. */
  file?: Readable;
  signal?: AbortSignal | undefined;
}

/** 304: it is so already. */
const SUCCESS = { 200: true, 201: true, 204: true, 304: true };

type CallOptions = { signal?: AbortSignal | undefined };

/** Far above any answer of the engine, and above its log files. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/**
 * Part of the Docker engine's API that is used. dockerode is loaded at the first call, and is the transport alone: its
 * own methods drop a create's warnings, some take no signal, and none settles if the connection breaks inside an answer
 * (a wait is one long answer). Aborted calls reject with the signal's reason.
 */
export class Engine {
  readonly #address: EngineAddress | undefined;
  #transport: Promise<Transport> | undefined;

  /** Takes an address. Without one the engine is looked for at the first call, as the docker CLI does. */
  constructor(address?: EngineAddress) {
    this.#address = address;
  }

  info(options: CallOptions): Promise<EngineInfo> {
    return this.#call({ method: "GET", path: "/info", ...options });
  }

  inspectImage(image: string, options: CallOptions): Promise<ImageInspectInfo> {
    return this.#call({ method: "GET", path: `/images/${image}/json`, ...options });
  }

  /** Lists containers, running or not, with all of the labels ("name" or "name=value"). */
  listContainers(labels: string[], options: CallOptions): Promise<ContainerInfo[]> {
    const query = { all: true, filters: JSON.stringify({ label: labels }) };
    return this.#call({ method: "GET", path: "/containers/json", query, ...options });
  }

  async createContainer(
    name: string,
    body: ContainerCreateOptions,
    options: CallOptions,
  ): Promise<{ id: string; warnings: string[] }> {
    const call = { method: "POST", path: "/containers/create", query: { name }, body, ...options } as const;
    const answer = await this.#call<{ Id: string; Warnings: string[] | null }>(call);
    return { id: answer.Id, warnings: answer.Warnings ?? [] };
  }

  startContainer(id: string, options: CallOptions): Promise<void> {
    return this.#call({ method: "POST", path: `/containers/${id}/start`, ...options });
  }

  inspectContainer(id: string, options: CallOptions): Promise<ContainerInspectInfo> {
    return this.#call({ method: "GET", path: `/containers/${id}/json`, ...options });
  }

  /** Resolves once the container does not run, or does not run any more. */
  async waitContainer(id: string, options: CallOptions): Promise<{ exitCode: number }> {
    const call = { method: "POST", path: `/containers/${id}/wait`, ...options } as const;
    const { StatusCode: exitCode } = await this.#call<{ StatusCode: number }>(call);
    return { exitCode };
  }

  /** Tells what a running container uses of its limits. */
  containerStats(id: string, options: CallOptions): Promise<ContainerStats> {
    const query = { stream: false, "one-shot": true };
    return this.#call({ method: "GET", path: `/containers/${id}/stats`, query, ...options });
  }

  killContainer(id: string, options: CallOptions): Promise<void> {
    return this.#call({ method: "POST", path: `/containers/${id}/kill`, ...options });
  }

  /** Kills and removes a container, by id or name, with its anonymous volumes. */
  removeContainer(id: string, options: CallOptions): Promise<void> {
    return this.#call({ method: "DELETE", path: `/containers/${id}`, query: { force: true, v: true }, ...options });
  }

  /** Unpacks a tar archive into a directory of a container, which need not run. */
  putArchive(id: string, path: string, archive: Readable, options: CallOptions): Promise<void> {
    const call = {
      method: "PUT",
      path: `/containers/${id}/archive`,
      query: { path },
      file: archive,
      ...options,
    } as const;
    return this.#call(call);
  }

  createVolume(body: VolumeCreateOptions, options: CallOptions): Promise<void> {
    return this.#call({ method: "POST", path: "/volumes/create", body, ...options });
  }

  inspectVolume(name: string, options: CallOptions): Promise<VolumeInspectInfo> {
    return this.#call({ method: "GET", path: `/volumes/${name}`, ...options });
  }

  /** Lists volumes with a label ("name" or "name=value"). */
  async listVolumes(label: string, options: CallOptions): Promise<(VolumeInspectInfo & { CreatedAt?: string })[]> {
    const query = { filters: JSON.stringify({ label: [label] }) };
    const answer = await this.#call<{ Volumes?: VolumeInspectInfo[] | null }>({
      method: "GET",
      path: "/volumes",
      query,
      ...options,
    });
    return answer.Volumes ?? [];
  }

  /** Status 409: a container has it. */
  removeVolume(name: string, options: CallOptions): Promise<void> {
    return this.#call({ method: "DELETE", path: `/volumes/${name}`, ...options });
  }

  /** Returns the end of a container's log, in the engine's frames. */
  async readLog(id: string, { tail, ...options }: CallOptions & { tail: number }): Promise<Buffer> {
    const query = { stdout: true, stderr: true, tail };
    const call = { method: "GET", path: `/containers/${id}/logs`, query, ...options } as const;
    return await readAll((await this.#dial(call)) as Readable, options.signal);
  }

  /** Prepares a command in a running container. Status 409: it is paused, or does not run. */
  async createExec(id: string, command: string[], options: CallOptions): Promise<string> {
    const call = { method: "POST", path: `/containers/${id}/exec`, body: execConfig(command), ...options } as const;
    return (await this.#call<{ Id: string }>(call)).Id;
  }

  /** Starts the command. The stream takes raw input and gives output in the engine's frames. */
  async startExec(execId: string, options: CallOptions): Promise<Duplex> {
    const call = { method: "POST", path: `/exec/${execId}/start`, body: EXEC_START, ...options } as const;
    return (await this.#dial(call, { hijack: true, openStdin: true })) as Duplex;
  }

  async #call<T>(call: Call): Promise<T> {
    const answer = await readAll((await this.#dial(call)) as Readable, call.signal);
    return (answer.length === 0 ? undefined : JSON.parse(answer.toString())) as T;
  }

  async #dial({ method, path, query, body, file, signal }: Call, upgrade: object = {}): Promise<unknown> {
    signal?.throwIfAborted();
    this.#transport ??= openTransport(this.#address);
    const transport = await this.#transport.catch((error: unknown) => {
      this.#transport = undefined;
      throw error;
    });
    return await new Promise<unknown>((resolve, reject) => {
      const options = {
        method,
        path: query === undefined ? path : `${path}?`,
        options: { _query: query, _body: body ?? {} },
        file,
        statusCodes: SUCCESS,
        isStream: true,
        abortSignal: signal,
        ...upgrade,
      };
      transport.dial(options, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(signal?.aborted ? (signal.reason as Error) : error);
      });
    });
  }
}

async function readAll(answer: Readable, signal: AbortSignal | undefined): Promise<Buffer> {
  if (signal !== undefined) addAbortSignal(signal, answer);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES)
        throw new Error(`The Docker engine's answer is longer than ${MAX_ANSWER_BYTES} bytes.`);
    }
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  }
  return Buffer.concat(chunks);
}
