import semver from "semver";
import { asAppError } from "../../proto/index.ts";
import { raceSignal } from "../runtime/race-signal.ts";
import type { CreateProgress, ImageFacts, Runtime } from "../runtime/runtime.ts";
import { VERSION } from "../version.ts";
import type { BuildOptions } from "./build-image.ts";

/** Runtime that images are for, and how one is built. */
export interface OwnImageOptions {
  runtime: Pick<Runtime, "inspectImage">;
  build: (options: Omit<BuildOptions, "base" | "proxies">) => Promise<void>;
  /** Version of this program. Default: its own. */
  version?: string;
}

interface Making {
  done: Promise<void>;
  /** Everybody who waits for it. */
  listeners: Set<(line: string) => void>;
  /** What was told last, for who comes later. */
  line: string;
}

/** Where nobody names another one. */
const AGENT_IMAGE = "claudecluster/agent:latest";

/** Returns the command that builds the agent's image by this name. */
export function buildCommand(image: string): string {
  return `claudecluster image${image === AGENT_IMAGE ? "" : ` --tag ${image}`}`;
}

/** Returns whether the image of this name is one that this program builds, and not the user's. */
export function isOwnImage(image: string, version = VERSION): boolean {
  return image === AGENT_IMAGE || image === `claudecluster/agent:${version}`;
}

/**
 * Agent images of this program: built when they are needed first, and anew where they are of an older version. An
 * image of a newer version is good enough, so that two versions on one engine do not replace each other's. Disposing of
 * it ends a build.
 */
export class OwnImage implements Disposable {
  readonly #options: Required<OwnImageOptions>;
  readonly #closing = new AbortController();
  readonly #good = new Set<string>();
  readonly #making = new Map<string, Making>();

  constructor(options: OwnImageOptions) {
    this.#options = { version: VERSION, ...options };
  }

  [Symbol.dispose](): void {
    this.#closing.abort(new Error("the host is shutting down"));
  }

  /**
   * Makes sure that an image is there, if it is one of ours; one build serves all who wait for it. It looks once, and
   * again once `lost` was told. Rejects with the build's error, or the signal's reason, and then the build goes on.
   */
  async provide(
    image: string,
    { signal, onProgress }: { signal: AbortSignal; onProgress: (progress: CreateProgress) => void },
  ): Promise<void> {
    if (!isOwnImage(image, this.#options.version) || this.#good.has(image)) return;
    const listener = (message: string) => onProgress({ phase: "build", message });
    let making = this.#making.get(image);
    if (making === undefined) {
      const facts = await this.#options.runtime.inspectImage(image, { signal });
      if (!this.#isOld(facts)) return void this.#good.add(image);
      making = this.#making.get(image) ?? this.#make(image, facts);
    }
    listener(making.line);
    making.listeners.add(listener);
    try {
      await raceSignal(making.done, signal);
    } finally {
      making.listeners.delete(listener);
    }
  }

  /** Forgets that an image was there. Returns whether it is one that `provide` can make. */
  lost(image: string): boolean {
    return this.#good.delete(image);
  }

  #isOld(facts: ImageFacts | undefined): boolean {
    if (facts === undefined) return true;
    const { version } = this.#options;
    // What names no version was not built by us, and is the user's business.
    return semver.gt(version, semver.parse(facts.labels["dev.claudecluster.agent-version"]) ?? version);
  }

  #make(image: string, old: ImageFacts | undefined): Making {
    const line =
      old === undefined
        ? "being built, which takes the first session some minutes"
        : `being built anew for version ${this.#options.version}`;
    const listeners: Making["listeners"] = new Set();
    const making: Making = { line, listeners, done: Promise.resolve() };
    const onLine = (told: string) => {
      making.line = told;
      for (const tell of listeners) tell(told);
    };
    const atLeast = old?.labels["dev.claudecluster.claude-version"];
    making.done = this.#options
      .build({ image, atLeast, onLine, signal: this.#closing.signal })
      .catch((error: unknown) => {
        if (old === undefined) throw error;
        // Agents of before understand us.
        onLine(`it stays as it was. ${asAppError(error).toSentence()}`);
      })
      .then(() => void this.#good.add(image))
      .finally(() => this.#making.delete(image));
    making.done.catch(() => {}); // Told to whoever waits for it.
    this.#making.set(image, making);
    return making;
  }
}
