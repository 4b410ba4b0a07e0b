import { once } from "node:events";
import type { HostConfig } from "../config/config.ts";
import { EngineFilter } from "../engine-filter/engine-filter.ts";
import { readHostId } from "../host-id.ts";
import { createLogger } from "../logger.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/** Flags of the engine filter, as the command line gives them. */
export interface EngineFilterFlags {
  /** Path of the socket to make for the host. */
  listen: string;
  /** Path of the engine's socket. */
  engine: string;
  /** Images that containers may be made from. Default: the configured one. */
  image?: string[];
  /** Service of its compose project that the containers count as. Default: none. */
  composeService?: string;
}

/** Runs the engine filter between a host and the engine until a signal comes. Throws as EngineFilter.open. */
export async function engineFilterCommand(
  { defaultImage, logLevel, stateDirectory }: HostConfig,
  { listen, engine, image: images = [defaultImage], composeService }: EngineFilterFlags,
  io: CommandIo,
): Promise<number> {
  const logger = createLogger(logLevel);
  await using _filter = await EngineFilter.open({
    listen,
    engine,
    images,
    identity: readHostId(stateDirectory),
    composeService,
    logger,
  });
  io.stderr.write(`engine filter on ${listen}\n`);
  if (!io.signal.aborted) await once(io.signal, "abort");
  return EXIT.done;
}
