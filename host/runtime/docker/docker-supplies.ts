import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import type { ListedSupply, Supplies } from "../supplies.ts";
import type { BackgroundTasks } from "./background-tasks.ts";
import { fillConfig, SUPPLY_DIRECTORY } from "./container-config.ts";
import { containerName, newContainerKey } from "./container-name.ts";
import { engineError, statusOf } from "./engine-error.ts";
import type { Engine } from "./engine.ts";
import { LABELS, type Owner, supplyLabelsOf, wasPut } from "./labels.ts";
import { removeContainer } from "./remove-container.ts";
import { sendCreate } from "./send-create.ts";
import { sizeOf, tarOf } from "../../tar-stream.ts";

/** Removals have a time of their own: the caller's may be over (ms). */
const REMOVE_MS = 10_000;

/** Engine that supplies are volumes of, and whose they are. */
export interface DockerSuppliesContext {
  engine: Engine;
  owner: Owner;
  /** Tasks for removals that the caller does not wait for. */
  background: BackgroundTasks;
  /** Keys of the containers that are being created. Nobody else may touch them. */
  underWay: Set<string>;
  /** Signal that is aborted when the runtime is closed. */
  closing: AbortSignal;
}

/**
 * Supplies as volumes of a Docker engine, which may be on another machine. A volume is filled by way of a container that has it
 * for writing and is never started; all others have it for reading.
 */
export class DockerSupplies implements Supplies {
  readonly #context: DockerSuppliesContext;
  readonly #underWay = new Set<string>();

  constructor(context: DockerSuppliesContext) {
    this.#context = context;
  }

  async put(directory: string, { image, signal }: { image: string; signal: AbortSignal }): Promise<string> {
    const { engine, owner, closing } = this.#context;
    const name = `claudecluster-supply-${randomBytes(8).toString("hex")}`;
    const alive = AbortSignal.any([signal, closing]);
    this.#underWay.add(name);
    try {
      const labels = supplyLabelsOf(owner, { putBytes: await sizeOf(directory) });
      await engine.createVolume({ Name: name, Labels: labels }, { signal: alive });
      await this.#fill(name, directory, image, alive);
      return name;
    } catch (error) {
      await this.remove(name, { signal: AbortSignal.timeout(REMOVE_MS) }).catch(() => {}); // The next sweep finds it.
      if (alive.aborted) throw alive.reason;
      throw engineError(error, { reason: "SUPPLY_FAILED", what: "The Docker engine took no files" });
    } finally {
      this.#underWay.delete(name);
    }
  }

  async #fill(name: string, directory: string, image: string, signal: AbortSignal): Promise<void> {
    const { engine, owner, background, underWay } = this.#context;
    const key = newContainerKey();
    underWay.add(key);
    try {
      const config = fillConfig({ key, image, supply: name, owner });
      const { id } = await sendCreate(engine, containerName(key), config, { signal, background });
      const archive = Readable.from(tarOf(directory), { objectMode: false });
      try {
        await engine.putArchive(id, SUPPLY_DIRECTORY, archive, { signal });
      } finally {
        archive.destroy();
        await removeContainer(engine, id);
      }
    } finally {
      underWay.delete(key);
    }
  }

  async has(name: string, { signal }: { signal: AbortSignal }): Promise<boolean> {
    try {
      return wasPut((await this.#context.engine.inspectVolume(name, { signal })).Labels);
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw error;
    }
  }

  async list({ signal }: { signal: AbortSignal }): Promise<ListedSupply[]> {
    const { engine, owner } = this.#context;
    const listed = await engine.listVolumes(LABELS.supply, { signal });
    return listed.flatMap(({ Name: name, Labels: labels, CreatedAt: created = "" }) => {
      if (this.#underWay.has(name)) return [];
      return { name, createTimeMs: Date.parse(created), own: labels?.[LABELS.host] === owner.hostId };
    });
  }

  async remove(name: string, { signal }: { signal: AbortSignal }): Promise<void> {
    try {
      await this.#context.engine.removeVolume(name, { signal });
    } catch (error) {
      // 409: a container has it.
      if (statusOf(error) !== 404 && statusOf(error) !== 409) throw error;
    }
  }
}
