import type { Container } from "../runtime/runtime.ts";
import type { Miss } from "./miss.ts";

/** What is prepared in a container before anybody knows for whom. */
export interface Preparation {
  /** Key of it: whoever has the same one may have a container that was prepared with it. */
  readonly key: string;
  /** What a container that is made for this session alone prepares itself for: see ContainerShape. Default: nothing. */
  readonly prepares?: string | undefined;
  /** Prepares a container. Neither it nor what it holds knows of a session. */
  prepare(container: Container, options: { signal: AbortSignal }): Promise<Prepared>;
  /** Returns why this session cannot have one though. Default: it can. */
  refusal?: (() => Promise<Miss | undefined>) | undefined;
}

/** What was prepared in a container. Disposing of it leaves the container alone. */
export interface Prepared extends Disposable {
  /** Resolves once it is known to be lost. Never rejects. */
  readonly lost: Promise<unknown>;
  /** Rejects unless it answers, and nobody has it. */
  check(options: { signal: AbortSignal }): Promise<void>;
}
