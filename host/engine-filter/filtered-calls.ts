import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { BRIDGE, EXEC_START, execConfig } from "../runtime/docker/exec-config.ts";
import { LABELS } from "../runtime/docker/labels.ts";
import { printable } from "../runtime/docker/printable.ts";
import { checkFill, fillsSupply } from "./check-supply.ts";
import { checkCreate, imageOf } from "./check-create.ts";
import { composeLabels } from "./compose-labels.ts";
import type { EngineAnswer, EngineClient } from "./engine-client.ts";
import { FilteredSupplies } from "./filtered-supplies.ts";
import { IssuedExecs } from "./issued-execs.ts";
import { MEMORY_LABEL, MemoryBound, type MemoryState } from "./memory-bound.ts";
import type { Call, CallKind } from "./read-call.ts";
import {
  FILTER_LABEL,
  type Inspected,
  isOurs,
  type Listed,
  reduceImage,
  reduceInfo,
  reduceInspected,
  reduceList,
  reduceStats,
  reduceVolume,
  reduceVolumes,
  type Volume,
} from "./reduce-answer.ts";
import { notOurs, refused } from "./refused.ts";

type Json = Record<string, unknown>;
type Options = { signal: AbortSignal };

const WITH_BODY: ReadonlySet<CallKind> = new Set(["create", "exec", "createVolume"]);
/** Label of a container by way of which a supply is filled. Its value is the supply's name. */
const FILL_LABEL = "dev.claudecluster.filter-fill";

/** Rules of a filter. */
export interface FilterRules {
  /** Images that containers may be made of, by the host's names. */
  images: readonly string[];
  /** Mark of the containers that are created through this filter, the same after a restart. */
  identity: string;
  /** Service of the filter's compose project that the containers count as. Undefined: none. */
  composeService?: string | undefined;
}

/**
 * Calls to the engine that are passed on if their target may be touched. They reject with ENGINE_CALL_REFUSED, or as
 * the client does.
 */
export class FilteredCalls {
  readonly #engine: EngineClient;
  readonly #images: ReadonlySet<string>;
  readonly #identity: string;
  readonly #composeService: string | undefined;
  #composeLabels: Readonly<Record<string, string>> | undefined;
  readonly #logger: Logger;
  readonly #execs = new IssuedExecs();
  readonly #memory = new MemoryBound();
  readonly #supplies: FilteredSupplies;

  constructor(engine: EngineClient, given: FilterRules & { logger: Logger }) {
    this.#engine = engine;
    this.#supplies = new FilteredSupplies(engine, given.identity);
    this.#images = new Set(given.images);
    this.#identity = given.identity;
    this.#composeService = given.composeService;
    this.#logger = given.logger;
  }

  /** Resolves with the answer for the host, reduced to what it reads. A log streams. */
  async pass(
    call: Call,
    body: unknown,
    options: Options,
  ): Promise<EngineAnswer | { status: number; stream: IncomingMessage }> {
    const { kind, query } = call;
    if (body !== undefined && !WITH_BODY.has(kind)) throw refused(`This call (${kind}) has no body.`);
    switch (kind) {
      case "info":
        return answer(await this.#engine.call(call, options), reduceInfo);
      case "image":
        return answer(await this.#inspectImage(call.target, options), reduceImage);
      case "list":
        return answer(await this.#engine.call({ ...call, query: this.#listQuery(query) }, options), (list: Listed[]) =>
          reduceList(list, this.#identity),
        );
      case "create":
        return await this.#create(call, body, options);
      case "inspect":
        return answer(await this.#inspect(call.target, options), reduceInspected);
      case "wait":
        return answer(await this.#callOwn(call, options), ({ StatusCode }: Json) => ({ StatusCode }));
      case "start":
        await this.#requireSealed(call.target, options);
        return answer(await this.#callOwn(call, options), () => undefined);
      case "kill":
        return answer(await this.#callOwn(call, options), () => undefined);
      case "remove": {
        const target = await this.#own(call.target, options);
        this.#supplies.forget(target);
        return answer(await this.#engine.call({ ...call, target }, options), () => undefined);
      }
      case "logs": {
        const target = await this.#own(call.target, options);
        const stream = await this.#engine.stream({ ...call, target }, options);
        return { status: stream.statusCode ?? 500, stream };
      }
      case "stats":
        return answer(await this.#callOwn(call, options), reduceStats);
      case "exec":
        return await this.#createExec(call, body, options);
      case "createVolume":
        return answer(await this.#supplies.create(call, body, options), reduceVolume);
      case "volume":
        return answer(await this.#supplies.inspect(call.target, options), reduceVolume);
      case "volumes":
        return answer(await this.#supplies.list(options), (json: { Volumes?: Volume[] }) => reduceVolumes(json));
      case "removeVolume":
        return answer(await this.#supplies.remove(call, options), () => undefined);
      case "fill":
        throw refused("A supply is filled with an archive.");
      case "startExec":
        throw refused("An exec is started by turning the connection into a stream (Upgrade: tcp).");
    }
  }

  /**
   * Resolves with the stream to an exec that was created through the filter, or with the engine's answer in its place.
   */
  async startExec(call: Call, body: unknown, options: Options): Promise<Duplex | EngineAnswer> {
    if (call.kind !== "startExec") throw refused(`This call (${call.kind}) does not turn into a stream.`);
    if (!isDeepStrictEqual(body, EXEC_START)) throw refused("An exec is not started like that.");
    if (!this.#execs.take(call.target)) throw notOurs("exec");
    const started = await this.#engine.upgrade({ ...call, body: EXEC_START }, options);
    return "status" in started ? answer(started, () => undefined) : started;
  }

  /** Resolves with the answer to an archive for a supply, which is read as it comes. */
  async fill(call: Call, archive: Readable, options: Options): Promise<EngineAnswer> {
    const target = await this.#own(call.target, options);
    return answer(await this.#supplies.fill({ ...call, target }, archive, options), () => undefined);
  }

  /** A container by way of which a supply is filled, and which can write it therefore, does not run. */
  async #createFill({ method, query }: Call, body: unknown, options: Options): Promise<EngineAnswer> {
    const { config, supply } = checkFill(body, { name: query["name"]! });
    const image = await this.#inspectImage(config.Image!, options);
    if (image.status !== 200) return answer(image, () => undefined);
    const found = await this.#supplies.inspect(supply, options);
    if (found.status !== 200) return answer(found, () => undefined);
    this.#supplies.takeEmpty(supply);
    const marks = { ...(await this.#projectLabels(options)), [FILTER_LABEL]: this.#identity, [FILL_LABEL]: supply };
    const marked = { ...config, Labels: { ...config.Labels, ...marks } };
    const created = await this.#engine.call({ kind: "create", method, query, body: marked }, options);
    this.#logger.info({ name: query["name"], supply, status: created.status }, "container to fill a supply created");
    return answer(created, ({ Id, Warnings }: Json) => {
      this.#supplies.expect(String(Id), supply);
      return { Id, Warnings };
    });
  }

  async #requireSealed(target: string, options: Options): Promise<void> {
    const { status, json } = await this.#inspect(target, options);
    if (status === 200 && (json as Inspected).Config.Labels?.[FILL_LABEL] === undefined) return;
    throw refused("A container by way of which a supply is filled is not started.");
  }

  async #create(call: Call, body: unknown, options: Options): Promise<EngineAnswer> {
    if (fillsSupply(body)) return await this.#createFill(call, body, options);
    const { method, query } = call;
    const name = query["name"]!;
    const image = await this.#inspectImage(imageOf(body), options);
    if (image.status !== 200) return answer(image, () => undefined);
    const { Config } = image.json as { Config?: { Volumes?: Json | null } | null };
    const config = checkCreate(body, { name, imageVolumes: Object.keys(Config?.Volumes ?? {}) });
    const memoryBytes = config.HostConfig!.Memory!;
    using _memory = this.#memory.take(memoryBytes, await this.#memoryState(options));
    const marks = {
      ...(await this.#projectLabels(options)),
      [FILTER_LABEL]: this.#identity,
      [MEMORY_LABEL]: String(memoryBytes),
    };
    const { Mounts } = config.HostConfig!;
    const mounts = Mounts && { Mounts: await this.#supplies.marked(Mounts, options) };
    const marked = {
      ...config,
      Labels: { ...config.Labels, ...marks },
      HostConfig: { ...config.HostConfig, ...mounts },
    };
    const created = await this.#engine.call({ kind: "create", method, query: { name }, body: marked }, options);
    this.#logger.info({ name, image: config.Image, status: created.status }, "container created");
    return answer(created, ({ Id, Warnings }: Json) => ({ Id, Warnings }));
  }

  async #projectLabels(options: Options): Promise<Readonly<Record<string, string>>> {
    if (this.#composeService === undefined) return {};
    return (this.#composeLabels ??= await composeLabels(this.#engine, this.#composeService, options));
  }

  async #memoryState(options: Options): Promise<MemoryState> {
    const filters = JSON.stringify({ label: [`${FILTER_LABEL}=${this.#identity}`] });
    const [info, list] = await Promise.all([
      this.#engine.call({ kind: "info", method: "GET" }, options),
      this.#engine.call({ kind: "list", method: "GET", query: { all: "true", filters } }, options),
    ]);
    if (info.status !== 200 || list.status !== 200) throw new Error("The engine did not say what there is.");
    // An engine that does not say it bounds nothing.
    const { MemTotal: machineBytes = Infinity } = info.json as { MemTotal?: number };
    return { containers: list.json as Listed[], machineBytes };
  }

  async #createExec(call: Call, body: unknown, options: Options): Promise<EngineAnswer> {
    if (!isDeepStrictEqual(body, execConfig(BRIDGE)))
      throw refused(`No command but ${BRIDGE.join(" ")} is run like that.`);
    const created = await this.#callOwn({ ...call, body: execConfig(BRIDGE) }, options);
    return answer(created, ({ Id }: Json) => {
      this.#execs.add(String(Id));
      return { Id };
    });
  }

  async #inspectImage(image: string, options: Options): Promise<EngineAnswer> {
    if (!this.#images.has(image))
      throw refused(`The image "${printable(image, 100)}" is not one of the engine filter's.`);
    return await this.#engine.call({ kind: "image", method: "GET", target: image }, options);
  }

  /** Our containers only, but for a uid, which no two containers on an engine may share. */
  #listQuery(query: Call["query"]): Call["query"] {
    const { label } = JSON.parse(query["filters"]!) as { label: [string] };
    const ours = `${FILTER_LABEL}=${this.#identity}`;
    const labels = label[0].startsWith(LABELS.uid) ? label : [...label, ours];
    return { ...query, filters: JSON.stringify({ label: labels }) };
  }

  async #callOwn(
    call: Omit<Call, "kind"> & { kind: CallKind; body?: object },
    options: Options,
  ): Promise<EngineAnswer> {
    const target = await this.#own(call.target, options);
    return await this.#engine.call({ ...call, target }, options);
  }

  /** Resolves with the id of a container of ours. Ids are not given twice, so what is asked now holds for the call. */
  async #own(target: string, options: Options): Promise<string> {
    const { status, json } = await this.#inspect(target, options);
    if (status !== 200) throw new Error(`The engine answered ${status} to an inspection.`);
    return (json as Inspected).Id;
  }

  async #inspect(target: string, options: Options): Promise<EngineAnswer> {
    const found = await this.#engine.call({ kind: "inspect", method: "GET", target }, options);
    if (found.status === 404) throw notOurs("container");
    if (found.status !== 200 || isOurs((found.json as Inspected).Config.Labels, this.#identity)) return found;
    this.#logger.warn({ container: target }, "a container that was not created here was asked for");
    throw notOurs("container");
  }
}

/** Returns a success reduced, and of everything else the engine's sentence. */
function answer<T>({ status, json }: EngineAnswer, reduce: (json: T) => unknown): EngineAnswer {
  if (status >= 200 && status < 300) return { status, json: reduce(json as T) };
  if (status === 304) return { status, json: undefined };
  const { message } = (json ?? {}) as { message?: unknown };
  return { status, json: { message: printable(String(message ?? "The engine gave no reason."), 1_000) } };
}
