import type { Logger } from "pino";
import { raceSignal } from "../runtime/race-signal.ts";
import type { Container, ContainerShape, Runtime } from "../runtime/runtime.ts";
import type { ContainerQueue, SparePlace } from "./container-queue.ts";
import type { Taken } from "./lease.ts";
import type { Preparation } from "./preparation.ts";
import { type SessionStart, SessionStarts } from "./session-starts.ts";
import type { Miss } from "./miss.ts";
import { mismatch, SpareContainer, type SpareKind } from "./spare-container.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** What a pool makes containers with, and when it may. */
export interface PoolOptions {
  runtime: Pick<Runtime, "create" | "inspectImage">;
  queue: ContainerQueue;
  /** Returns how many containers are to be ready. */
  size: () => number;
  /** Returns whether nothing can be made now. */
  blocked: () => boolean;
  /** Returns whether the machine has little memory left, and none for what nobody uses. */
  short: () => boolean;
  logger: Logger;
}

/** What came of a claim: a container with its place, or why there is none. Neither: nobody wanted one. */
export interface Claim {
  won?: { container: Container; place: Disposable; taken: Taken };
  miss?: Miss | undefined;
}

/** State of a pool, for people. */
export interface PoolStatus {
  /** Number of containers that are to be ready. */
  size: number;
  ready: number;
  beingMade: number;
  hits: number;
  /** Sessions that had none, by reason. */
  misses: ReadonlyMap<Miss, number>;
  /** Age of the one that was taken last (ms). Undefined: none was. */
  lastAgeMs: number | undefined;
  /** Memory of those that are ready, as far as it is known. */
  memoryBytes: number;
}

interface Ready {
  spare: SpareContainer;
  place: SparePlace;
  /** Looks again and again whether it is to stay. */
  look: NodeJS.Timeout;
}

interface Making {
  kind: SpareKind;
  /** A session waits for it. */
  awaited: boolean;
  abort: AbortController;
  /** Never rejects. */
  done: Promise<void>;
}

/**
 * Containers that are prepared before anybody knows for whom, of the kind that the last session was. Each is taken once. One
 * is made at a time, when no session starts or waits; it gives way to whatever a session needs. Disposing of it removes them.
 */
export class Pool implements AsyncDisposable {
  readonly #options: PoolOptions;
  readonly #starts = new SessionStarts(() => this.#refill());
  readonly #ready: Ready[] = [];
  readonly #held = new Set<string>();
  readonly #removals = new Set<Promise<void>>();
  readonly #misses = new Map<Miss, number>();
  #wanted: SpareKind | undefined;
  #making: Making | undefined;
  #hits = 0;
  #lastAgeMs: number | undefined;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Ids of its containers, those on their way in or out too. */
  get held(): ReadonlySet<string> {
    return this.#held;
  }

  status(): PoolStatus {
    return {
      size: this.#options.size(),
      ready: this.#ready.length,
      beingMade: this.#making === undefined ? 0 : 1,
      hits: this.#hits,
      misses: this.#misses,
      lastAgeMs: this.#lastAgeMs,
      memoryBytes: this.#ready.reduce((sum, { spare }) => sum + (spare.memoryBytes ?? 0), 0),
    };
  }

  /** Notes that a session starts: nothing is made until it has begun. */
  begin(): SessionStart {
    return this.#starts.begin();
  }

  /** Notes what the last session was like: the next one may be like it. */
  want(shape: ContainerShape, preparation: Preparation): void {
    this.#wanted = { shape, preparation };
  }

  /** Takes a container for a session, if there is one for it. Rejects with the signal's reason alone. */
  async claim(
    shape: ContainerShape,
    preparation: Preparation | undefined,
    { signal }: { signal: AbortSignal },
  ): Promise<Claim> {
    const wanted = this.#options.size() > 0 && preparation !== undefined ? { shape, preparation } : undefined;
    const refusal = await wanted?.preparation.refusal?.();
    signal.throwIfAborted();
    if (wanted === undefined || refusal !== undefined) {
      this.#giveWay();
      return wanted === undefined ? {} : this.#missed(refusal!);
    }
    this.#wanted = wanted;
    const found = this.#find(wanted) ?? (await this.#awaitMaking(wanted, signal));
    if (found === undefined) {
      this.#giveWay();
      const other = this.#ready.at(-1);
      const none = this.#options.short() ? "little memory" : "none yet";
      return this.#missed((other && mismatch(other.spare.kind, wanted)) ?? none);
    }
    return await this.#take(found, signal);
  }

  /** Removes all that is ready or being made. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#making?.abort.abort(new Error("the host is shutting down"));
    await this.#making?.done;
    for (const ready of [...this.#ready]) this.#drop(ready);
    await Promise.all(this.#removals);
  }

  #find(wanted: SpareKind): Ready | undefined {
    return this.#ready.find(({ spare }) => mismatch(spare.kind, wanted) === undefined);
  }

  #missed(miss: Miss): Claim {
    this.#misses.set(miss, (this.#misses.get(miss) ?? 0) + 1);
    return { miss };
  }

  /** Whoever comes first waits for one that is nearly ready: it has done what a new one would have to do. */
  async #awaitMaking(wanted: SpareKind, signal: AbortSignal): Promise<Ready | undefined> {
    const making = this.#making;
    if (making === undefined || making.awaited || mismatch(making.kind, wanted) !== undefined) return undefined;
    making.awaited = true;
    const timer = setTimeout(
      () => making.abort.abort(new Error("a session has waited long enough")),
      TIMEOUTS.nearlyReadyMs,
    );
    try {
      await raceSignal(making.done, signal);
    } finally {
      clearTimeout(timer);
    }
    return this.#find(wanted);
  }

  async #take(ready: Ready, signal: AbortSignal): Promise<Claim> {
    const { spare } = ready;
    this.#forget(ready);
    const place = ready.place.keep();
    const { ageMs } = spare;
    const miss = ageMs > TIMEOUTS.preparedMaxAgeMs ? "too old" : await this.#check(spare);
    if (miss === undefined && !signal.aborted && !this.#closed) {
      this.#held.delete(spare.container.ref.id);
      this.#hits += 1;
      this.#lastAgeMs = ageMs;
      return { won: { container: spare.container, place, taken: { prepared: spare.prepared, ageMs } } };
    }
    place[Symbol.dispose]();
    this.#remove(spare);
    signal.throwIfAborted();
    // The others are of that image, too.
    if (miss === "other image")
      for (const other of this.#ready.filter((each) => each.spare.imageId === spare.imageId)) this.#drop(other);
    return this.#missed(miss ?? "did not answer");
  }

  /** Returns why it cannot be taken, within a bound. */
  async #check({ container, prepared, kind, imageId, lost }: SpareContainer): Promise<Miss | undefined> {
    const tooLate = new AbortController();
    const timer = setTimeout(() => tooLate.abort(new Error("no answer in time")), TIMEOUTS.claimMs);
    const { signal } = tooLate;
    const gone = lost.then(() => Promise.reject(new Error("it is gone")));
    gone.catch(() => {});
    try {
      const checks = Promise.all([
        this.#options.runtime.inspectImage(kind.shape.image, { signal }),
        prepared.check({ signal }),
      ]);
      const [image] = await raceSignal(Promise.race([checks, gone]), signal);
      return image?.id === imageId ? undefined : "other image";
    } catch (error) {
      this.#options.logger.warn({ err: error, containerId: container.ref.id }, "a prepared container cannot be used");
      return "did not answer";
    } finally {
      clearTimeout(timer);
    }
  }

  /** Makes one more, if one is wanted and nobody is disturbed. */
  #refill(): void {
    const { queue, size, blocked, short } = this.#options;
    const wanted = this.#wanted;
    if (this.#closed || wanted === undefined || this.#making !== undefined || this.#retry !== undefined) return;
    if (this.#starts.any || queue.waitingCount > 0 || blocked() || short()) return;
    const ours = this.#ready.filter(({ spare }) => mismatch(spare.kind, wanted) === undefined);
    if (ours.length >= size()) return;
    for (const other of this.#ready.filter((each) => !ours.includes(each))) {
      if (this.#ready.length >= size()) this.#drop(other);
    }
    const abort = new AbortController();
    const recall = { now: () => abort.abort(new Error("a session needs its place")) };
    const place = queue.takeSpare(wanted.shape.memoryBytes, () => recall.now());
    if (place === undefined) return;
    const making: Making = { kind: wanted, awaited: false, abort, done: Promise.resolve() };
    this.#making = making;
    making.done = this.#make(making, place, recall).finally(() => {
      this.#making = undefined;
      this.#refill();
    });
  }

  async #make({ kind, abort }: Making, place: SparePlace, recall: { now: () => void }): Promise<void> {
    const { runtime, logger } = this.#options;
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(TIMEOUTS.prepareMs)]);
    let id: string | undefined;
    try {
      const onMade = (made: string) => this.#held.add((id = made));
      const spare = await SpareContainer.make({ runtime, ...kind, onMade, signal });
      const look = setInterval(() => this.#look(ready), TIMEOUTS.preparedLookMs).unref();
      const ready: Ready = { spare, place, look };
      recall.now = () => this.#drop(ready);
      this.#ready.push(ready);
      void spare.lost.then(() => this.#lost(ready));
      logger.info({ containerId: id }, "a container is prepared");
      // It was told to give way in the last moment.
      if (abort.signal.aborted) this.#drop(ready);
      else this.#failures = 0;
    } catch (error) {
      if (id !== undefined) this.#held.delete(id);
      place[Symbol.dispose]();
      if (abort.signal.aborted) return;
      logger.warn({ err: error }, "no container could be prepared");
      this.#failed();
    }
  }

  /** Waits before the next one is made. */
  #failed(): void {
    const waitMs = Math.min(TIMEOUTS.refillFirstMs * 2 ** this.#failures++, TIMEOUTS.refillLastMs);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#refill();
    }, waitMs).unref();
  }

  #lost(ready: Ready): void {
    if (this.#closed || !this.#ready.includes(ready)) return;
    this.#options.logger.warn({ containerId: ready.spare.container.ref.id }, "a prepared container was lost");
    this.#failed();
    this.#drop(ready);
  }

  /** Lets it go where its memory is needed, or nobody has come for long; the next session fills the pool again. */
  #look(ready: Ready): void {
    if (!this.#options.short() && ready.spare.ageMs <= TIMEOUTS.preparedMaxAgeMs) return;
    this.#wanted = undefined;
    this.#drop(ready);
  }

  /** Ends what is being made for the sake of a session, unless one waits for it. */
  #giveWay(): void {
    if (this.#making?.awaited === false) this.#making.abort.abort(new Error("a session starts"));
  }

  #forget(ready: Ready): void {
    clearInterval(ready.look);
    this.#ready.splice(this.#ready.indexOf(ready), 1);
  }

  #drop(ready: Ready): void {
    if (!this.#ready.includes(ready)) return;
    this.#forget(ready);
    this.#remove(ready.spare);
    ready.place[Symbol.dispose]();
  }

  /** One that will not go is left to the sweep. */
  #remove(spare: SpareContainer): void {
    const { id } = spare.container.ref;
    const removal = spare[Symbol.asyncDispose]()
      .catch((error: unknown) =>
        this.#options.logger.warn({ err: error, containerId: id }, "a prepared container stays"),
      )
      .then(() => {
        this.#held.delete(id);
        this.#removals.delete(removal);
      });
    this.#removals.add(removal);
  }
}
