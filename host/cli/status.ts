import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { HostLink } from "../daemon/host-link.ts";
import type { HostDirectories } from "../directories.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { newerConfig } from "./newer-config.ts";
import { otherVersion } from "./other-version.ts";
import { oneLine } from "../present/plain-text.ts";
import { warmPoolJson, warmPoolLine } from "../present/warm-pool.ts";
import { printJson } from "./print-json.ts";

/** Prints the state of the host that is running. Starts none. */
export async function statusCommand(
  link: HostLink,
  { configDirectory }: HostDirectories,
  options: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const info = await link.find();
  const newer = info && newerConfig(info, configDirectory);
  const other = info && otherVersion(info);
  if (options.json) {
    const status =
      info === undefined
        ? { running: false }
        : {
            running: true,
            version: info.hostVersion,
            process_id: info.processId,
            start_time: info.startTime === undefined ? null : timestampDate(info.startTime).toISOString(),
            live_sessions: info.liveSessionCount,
            queued_sessions: info.queuedSessionCount,
            max_running_sessions: info.maxRunningSessionCount,
            removing_containers: info.removingContainerCount,
            warm: info.warmPool === undefined ? null : warmPoolJson(info.warmPool),
            engine_healthy: info.engineHealthy,
            engine_problem: info.engineProblem,
            model_endpoint: info.modelEndpoint,
            credential: info.credentialKind,
            credential_problem: info.credentialProblem,
            config_problem: newer ?? "",
            state_directory: info.stateDirectory,
            store_problem: info.storeProblem,
          };
    printJson(io.stdout, status);
    return EXIT.done;
  }
  if (info === undefined) {
    io.stdout.write("No host is running. The next command that needs one starts it.\n");
    return EXIT.done;
  }
  const started = info.startTime === undefined ? "" : `, since ${timestampDate(info.startTime).toISOString()}`;
  const removing = info.removingContainerCount;
  const lines = [
    ["host", `${info.hostVersion}${info.processId === 0 ? "" : `, process ${info.processId}`}${started}`],
    ["sessions", `${info.liveSessionCount} live, ${info.queuedSessionCount} of them queued`],
    ...(removing === 0
      ? []
      : [["removing", `${removing} container${removing === 1 ? "" : "s"} of sessions that have ended`]]),
    // A host of before has none.
    ...(info.warmPool === undefined ? [] : [["warm", warmPoolLine(info.warmPool)]]),
    ["engine", info.engineHealthy ? "ok" : info.engineProblem],
    // A host of before says none.
    ...(info.modelEndpoint === "" ? [] : [["model", info.modelEndpoint]]),
    ["credential", info.credentialKind || info.credentialProblem || "none: claudecluster credential set"],
    // A host elsewhere does not say where it is.
    ...(info.stateDirectory === "" ? [] : [["state", info.stateDirectory]]),
    ...(info.storeProblem === "" ? [] : [["store", oneLine(info.storeProblem)]]),
    ...(newer === undefined ? [] : [["restart", newer]]),
    ...(other === undefined ? [] : [["upgrade", other]]),
  ];
  for (const [name, text] of lines) io.stdout.write(`${name!.padEnd(12)}${text}\n`);
  return EXIT.done;
}

/**
 * Asks the host to end, if there is one, and waits until it has gone. Its sessions go on in their containers. With `whenIdle`
 * it throws HOST_BUSY while sessions are live. Throws HOST_UNRESPONSIVE, CONNECTION_LOST.
 */
export async function shutdownCommand(link: HostLink, options: { whenIdle: boolean }, io: CommandIo): Promise<number> {
  const info = await link.find();
  if (info === undefined) {
    io.stdout.write("No host is running.\n");
    return EXIT.done;
  }
  await link.stopHost({ onlyWithoutLiveSessions: options.whenIdle });
  await link.gone();
  io.stdout.write(`Ended the host (process ${info.processId}).\n`);
  return EXIT.done;
}
