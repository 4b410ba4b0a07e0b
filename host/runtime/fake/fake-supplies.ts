import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { AppError } from "../../../proto/index.ts";
import type { ListedSupply, Supplies } from "../supplies.ts";

/** What supplies keep for tests: files in memory, with whose they are. */
interface Kept extends ListedSupply {
  files: ReadonlyMap<string, Buffer>;
}

/** Supplies for tests, in memory. They pass the contract of real ones; a test makes things go wrong. */
export class FakeSupplies implements Supplies {
  readonly kept = new Map<string, Kept>();
  /** Names of those that a container has. */
  readonly used = new Set<string>();
  /** What the next ones, and lists, fail with. */
  failure: AppError | undefined;
  /** Called before one is kept. */
  onPut: () => Promise<void> = () => Promise.resolve();

  async put(directory: string, { signal }: { image: string; signal: AbortSignal }): Promise<string> {
    signal.throwIfAborted();
    const names = readdirSync(directory, { recursive: true }).map(String);
    const files = names.filter((name) => statSync(join(directory, name)).isFile());
    const contents = files.map((name) => [name, readFileSync(join(directory, name))] as const);
    await this.onPut();
    signal.throwIfAborted();
    if (this.failure !== undefined) throw this.failure;
    const name = `supply-${this.kept.size}-${Math.random()}`;
    this.kept.set(name, { name, own: true, createTimeMs: Date.now(), files: new Map(contents) });
    return name;
  }

  has(name: string): Promise<boolean> {
    return Promise.resolve(this.kept.has(name));
  }

  list(): Promise<ListedSupply[]> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return Promise.resolve([...this.kept.values()].map(({ name, own, createTimeMs }) => ({ name, own, createTimeMs })));
  }

  remove(name: string): Promise<void> {
    if (!this.used.has(name)) this.kept.delete(name);
    return Promise.resolve();
  }
}
