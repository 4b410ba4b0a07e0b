import type { Container, ContainerShape, Runtime } from "../runtime/runtime.ts";
import type { Miss } from "./miss.ts";
import type { Preparation, Prepared } from "./preparation.ts";

/** What a prepared container is for: all that is settled when it is made. */
export interface SpareKind {
  shape: ContainerShape;
  preparation: Preparation;
}

interface SpareParts extends SpareKind {
  container: Container;
  prepared: Prepared;
  imageId: string;
  memoryBytes: number | undefined;
}

/** What a container is made with. */
export interface MakeOptions extends SpareKind {
  runtime: Pick<Runtime, "create" | "inspectImage">;
  /** Called with the container's id as soon as there is one. */
  onMade: (id: string) => void;
  signal: AbortSignal;
}

/** Container that was prepared before anybody knows for whom. Disposing of it removes it. */
export class SpareContainer implements AsyncDisposable {
  readonly container: Container;
  readonly prepared: Prepared;
  readonly kind: SpareKind;
  readonly imageId: string;
  /** Memory that it used when it was ready. Undefined: it is not known. */
  readonly memoryBytes: number | undefined;
  /** Resolves once it is known to be of no use any more. Never rejects. */
  readonly lost: Promise<unknown>;
  readonly #readyMs = Date.now();

  private constructor({ container, prepared, imageId, memoryBytes, shape, preparation }: SpareParts) {
    this.container = container;
    this.prepared = prepared;
    this.imageId = imageId;
    this.memoryBytes = memoryBytes;
    this.kind = { shape, preparation };
    this.lost = Promise.race([container.exited, prepared.lost]);
  }

  /** Makes and prepares a container, or leaves nothing behind. */
  static async make({ runtime, shape, preparation, onMade, signal }: MakeOptions): Promise<SpareContainer> {
    // Before it is made: a newer image is noticed when somebody wants it.
    const image = await runtime.inspectImage(shape.image, { signal });
    const container = await runtime.create(shape, { signal });
    onMade(container.ref.id);
    try {
      const prepared = await preparation.prepare(container, { signal });
      const memoryBytes = await container.memoryUse?.({ signal }).catch(() => undefined);
      return new SpareContainer({ container, prepared, imageId: image?.id ?? "", memoryBytes, shape, preparation });
    } catch (error) {
      await container[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Time since it was ready (ms), that in which the machine slept too. */
  get ageMs(): number {
    return Date.now() - this.#readyMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.prepared[Symbol.dispose]();
    await this.container[Symbol.asyncDispose]();
  }
}

/** Returns why what was prepared for one kind is nothing for another. Undefined: it is. */
export function mismatch(made: SpareKind, wanted: SpareKind): Miss | undefined {
  const [a, b] = [made.shape, wanted.shape];
  if (a.image !== b.image) return "other image";
  const same =
    a.memoryBytes === b.memoryBytes &&
    a.cpuCount === b.cpuCount &&
    a.fewerCpusWillDo === b.fewerCpusWillDo &&
    a.workspaceSizeBytes === b.workspaceSizeBytes;
  if (!same) return "other limits";
  return made.preparation.key === wanted.preparation.key ? undefined : "other arguments";
}
