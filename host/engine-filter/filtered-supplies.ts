import type { MountSettings } from "dockerode";
import type { Readable } from "node:stream";
import { LABELS } from "../runtime/docker/labels.ts";
import { checkedArchive } from "./check-archive.ts";
import { checkVolume, supplyBytes } from "./check-supply.ts";
import type { EngineAnswer, EngineClient } from "./engine-client.ts";
import type { Call } from "./read-call.ts";
import { FILTER_LABEL, isOurs, type Volume } from "./reduce-answer.ts";
import { notOurs, refused } from "./refused.ts";

type Options = { signal: AbortSignal };

/** All that supplies may take of the machine's disk: those that the host keeps, and as much being made. */
const MAX_BYTES = 8 * 2 ** 30;

/**
 * Supplies of sessions that are made through a filter: volumes with files that are put there once, and only read by sessions. It
 * rejects with ENGINE_CALL_REFUSED, or as the client does.
 */
export class FilteredSupplies {
  readonly #engine: EngineClient;
  readonly #identity: string;
  /** Supplies that nothing was put into yet. */
  readonly #empty = new Set<string>();
  /** Supplies that are to be filled by way of containers, by the containers' ids. */
  readonly #fillable = new Map<string, string>();
  #pendingBytes = 0;

  constructor(engine: EngineClient, identity: string) {
    this.#engine = engine;
    this.#identity = identity;
  }

  /** Creates the volume of a supply: a new one, of which all together announce no more than the machine is to give. */
  async create(call: Call, body: unknown, options: Options): Promise<EngineAnswer> {
    const volume = checkVolume(body);
    const bytes = supplyBytes(volume.Labels);
    this.#pendingBytes += bytes;
    try {
      const { status } = await this.#engine.call({ kind: "volume", method: "GET", target: volume.Name }, options);
      if (status !== 404) throw refused("There is a volume with that name.");
      const { json } = await this.list(options);
      const held = ((json as { Volumes?: Volume[] }).Volumes ?? []).reduce(
        (sum, { Labels }) => sum + supplyBytes(Labels),
        0,
      );
      if (held + this.#pendingBytes > MAX_BYTES)
        throw refused("Together with those that are there, the supplies would be too large.");
      const labels = { ...volume.Labels, [FILTER_LABEL]: this.#identity };
      const created = await this.#engine.call(
        { ...call, body: { ...volume, Driver: "local", Labels: labels } },
        options,
      );
      if (created.status !== 201) return created;
      // Somebody else may have made one of the name meanwhile.
      if (!isOurs((created.json as Volume).Labels, this.#identity)) throw notOurs("volume");
      this.#empty.add(volume.Name);
      return created;
    } finally {
      this.#pendingBytes -= bytes;
    }
  }

  /** Inspects a supply of ours. */
  async inspect(name: string, options: Options): Promise<EngineAnswer> {
    const found = await this.#engine.call({ kind: "volume", method: "GET", target: name }, options);
    if (found.status === 404) throw notOurs("volume");
    if (found.status === 200 && !isOurs((found.json as Volume).Labels, this.#identity)) throw notOurs("volume");
    return found;
  }

  /** Lists the supplies of ours. */
  list(options: Options): Promise<EngineAnswer> {
    const filters = JSON.stringify({ label: [LABELS.supply, `${FILTER_LABEL}=${this.#identity}`] });
    return this.#engine.call({ kind: "volumes", method: "GET", query: { filters } }, options);
  }

  /** Removes a supply of ours. */
  async remove(call: Call, options: Options): Promise<EngineAnswer> {
    const found = await this.inspect(call.target, options);
    if (found.status !== 200) return found;
    const removed = await this.#engine.call(call, options);
    if (removed.status === 204) this.#empty.delete(call.target);
    return removed;
  }

  /** Returns the mounts of a session's container, marked, so that a supply that the engine makes anew is ours, too. */
  async marked(mounts: readonly MountSettings[], options: Options): Promise<MountSettings[]> {
    for (const { Source } of mounts) {
      const found = await this.#engine.call({ kind: "volume", method: "GET", target: Source }, options);
      const own = found.status === 200 && isOurs((found.json as Volume).Labels, this.#identity);
      if (!own && found.status !== 404) throw notOurs("volume");
    }
    return mounts.map((mount) => {
      const volumeOptions = mount.VolumeOptions as unknown as { Labels: Record<string, string> };
      const labels = { ...volumeOptions.Labels, [FILTER_LABEL]: this.#identity };
      const marked = { ...volumeOptions, Labels: labels };
      return { ...mount, VolumeOptions: marked as unknown as NonNullable<MountSettings["VolumeOptions"]> };
    });
  }

  /** Notes that a supply is to be filled by way of a container, once. Throws if something was put there. */
  takeEmpty(supply: string): void {
    if (!this.#empty.delete(supply)) throw refused("A supply is filled once, after it was created.");
  }

  /** Notes the container by way of which a supply is to be filled. */
  expect(container: string, supply: string): void {
    this.#fillable.set(container, supply);
  }

  /** Notes that a container is gone. */
  forget(container: string): void {
    this.#fillable.delete(container);
  }

  /** Puts an archive into the supply that is to be filled by way of the container. */
  async fill(call: Call, archive: Readable, options: Options): Promise<EngineAnswer> {
    const supply = this.#fillable.get(call.target);
    if (supply === undefined) throw notOurs("container to be filled");
    this.#fillable.delete(call.target);
    const found = await this.inspect(supply, options);
    if (found.status !== 200) return found;
    const maxBytes = supplyBytes((found.json as Volume).Labels);
    return await this.#engine.upload(call, checkedArchive(archive, { maxBytes }), options);
  }
}
