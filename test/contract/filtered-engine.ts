import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineFilter } from "../../host/engine-filter/engine-filter.ts";
import { createLogger } from "../../host/logger.ts";
import { enginePath } from "./engine-path.ts";

/** The engine behind a filter of its own. */
export interface FilteredEngine extends AsyncDisposable {
  /** Of the filter's socket. */
  path: string;
  identity: string;
  /** What the filter has logged. */
  log: Record<string, unknown>[];
}

/** Opens a filter before an engine, by default the machine's. Without an identity it has one of its own. */
export async function openFilteredEngine({
  images,
  identity = randomUUID(),
  engine = enginePath(),
}: {
  images: string[];
  identity?: string;
  engine?: string;
}): Promise<FilteredEngine> {
  const directory = await mkdtemp(join(tmpdir(), "engine-filter-"));
  const path = join(directory, "docker.sock");
  const log: Record<string, unknown>[] = [];
  const logger = createLogger("debug", {
    write: (line) => void log.push(JSON.parse(line) as Record<string, unknown>),
  });
  const filter = await EngineFilter.open({ listen: path, engine, images, identity, logger });
  return {
    path,
    identity,
    log,
    async [Symbol.asyncDispose]() {
      await filter[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}
