import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { GetHostInfoResponse } from "../../proto/control.ts";
import { AppError } from "../../proto/index.ts";
import { ConfiguredCredential } from "../config/configured-credential.ts";
import { explainCredential } from "../daemon/explain-credential.ts";
import type { EnforcedLimit, ImageFacts, NetworkSeal, Runtime } from "../runtime/runtime.ts";
import type { HostConfig } from "../config/config.ts";
import type { HostLink } from "../daemon/host-link.ts";
import type { HostDirectories } from "../directories.ts";
import { tryRuntimeDirectory } from "../daemon/runtime-directory.ts";
import { asExplainedError } from "../file-problem.ts";
import { tryStateDirectory } from "../state-directory.ts";
import { VERSION } from "../version.ts";
import type { Credential } from "../broker/model/credential.ts";
import { WayOut } from "../broker/way-out.ts";
import { checkEndpoint } from "./check-endpoint.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { type Finding, problem } from "./finding.ts";
import { newerConfig } from "./newer-config.ts";
import { printJson } from "./print-json.ts";

/** Claude Code is released on most weekdays; one much older than this misses fixes. */
const OLD_CLI_DAYS = 30;
const LOW_DISK_BYTES = 2 * 1024 ** 3;

/** What the doctor looks at. An error in the place of something that could not be read is a finding itself. */
export interface DoctorOptions {
  runtime: Runtime;
  /** Where a host keeps its own, and the way to it. */
  place: { directories: HostDirectories; link: Pick<HostLink, "find"> } | AppError;
  config: HostConfig | AppError;
}

/**
 * Looks at everything that a session needs and says what to do about what is missing. Whatever it finds is one of its
 * lines, and it looks at the rest.
 */
export async function doctorCommand(
  { runtime, place, config }: DoctorOptions,
  options: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const configured = config instanceof AppError ? undefined : config;
  const host = place instanceof AppError ? undefined : await findHost(place.link);
  const info = host instanceof AppError ? undefined : host;
  const findings: Finding[] = [
    { subject: "claudecluster", ok: true, message: `${VERSION}, Node ${process.versions.node}` },
    ...(config === place || configured !== undefined ? [] : [problem("configuration", config)]),
    ...(await checkEngine(runtime, configured, io.signal)),
    ...(configured === undefined ? [] : describeWayOut(configured)),
    ...(configured === undefined ? [] : await checkModel(configured, info, io)),
    ...(place instanceof AppError ? [problem("directories", place)] : await checkPlace(place, host)),
  ];
  if (options.json) printJson(io.stdout, findings);
  else {
    for (const { subject, ok, message, help } of findings) {
      io.stdout.write(`${ok ? "ok     " : "PROBLEM"}  ${subject.padEnd(14)} ${message}\n`);
      if (help !== undefined) io.stdout.write(`${" ".repeat(24)}${help}\n`);
    }
  }
  return findings.every(({ ok }) => ok) ? EXIT.done : EXIT.environment;
}

async function checkEngine(runtime: Runtime, config: HostConfig | undefined, signal: AbortSignal): Promise<Finding[]> {
  const health = await runtime.check({ signal });
  if (!health.healthy) return [{ subject: "engine", ok: false, message: health.message, help: health.help }];
  const parts = [health.description, SEALS[health.networkSeal], heldTo(health.enforcedLimits), ...health.warnings];
  const engine: Finding = { subject: "engine", ok: true, message: parts.filter((part) => part !== "").join("; ") };
  if (config === undefined) return [engine];
  const subject = "image";
  let image: ImageFacts | undefined;
  try {
    image = await runtime.inspectImage(config.defaultImage, { signal });
  } catch (error) {
    return [engine, problem(subject, error)];
  }
  if (image === undefined) {
    return [
      engine,
      { subject, ok: false, message: `${config.defaultImage} is not there.`, help: "Build it: claudecluster image" },
    ];
  }
  const version = image.labels["dev.claudecluster.claude-version"] ?? "unknown";
  const days = Math.floor((Date.now() - image.createTimeMs) / 86_400_000);
  const message = `${config.defaultImage} with Claude Code ${version}, built ${days === 0 ? "today" : `${days} days ago`}`;
  const old = days > OLD_CLI_DAYS && {
    help: "Rebuild it with a newer Claude Code: claudecluster image --claude-version latest",
  };
  return [engine, { subject, ok: true, message, ...old }];
}

const SEALS: Record<NetworkSeal, string> = {
  noInterface: "containers have no network interface",
  policy: "a policy of the network keeps containers from it",
};

function heldTo(limits: EnforcedLimit[]): string {
  return limits.length === 0 ? "" : `held to limits of ${limits.join(", ")}`;
}

/** Says which proxies are used and what is trusted beside Node's authorities; nothing where there are none. */
function describeWayOut({ wayOut: { httpsProxy, httpProxy, noProxy = [], authorities = [] } }: HostConfig): Finding[] {
  const parts = [
    ...(httpsProxy === undefined ? [] : [`https by the proxy ${httpsProxy.host}`]),
    ...(httpProxy === undefined ? [] : [`http by the proxy ${httpProxy.host}`]),
    ...(noProxy.length === 0 || (httpsProxy ?? httpProxy) === undefined ? [] : [`not for ${noProxy.join(", ")}`]),
    ...(authorities.length === 0 ? [] : ["the network's own authorities are trusted"]),
  ];
  if (parts.length === 0) return [];
  const help = "A host that is running has what it was started with; config.json holds for every one.";
  return [{ subject: "network", ok: true, message: parts.join("; "), help }];
}

/** Looks at the credential, that of a running host too, and whether the endpoint takes what is configured. */
async function checkModel(
  { configDirectory, environmentCredential, modelEndpoint, wayOut }: HostConfig,
  info: GetHostInfoResponse | undefined,
  { env, signal }: CommandIo,
): Promise<Finding[]> {
  const subject = "credential";
  let credential: Credential | undefined;
  let finding: Finding;
  try {
    credential = await new ConfiguredCredential({ configDirectory, environmentCredential }).read();
    if (credential !== undefined) {
      finding = { subject, ok: true, message: `${credential.kind} for ${modelEndpoint.host}` };
    } else if (info !== undefined && info.credentialKind !== "") {
      finding = { subject, ok: true, message: ofRunningHost(info) };
    } else {
      finding = problem(subject, explainCredential(NO_CREDENTIAL, env));
    }
  } catch (error) {
    finding = problem(subject, error);
  }
  return [finding, await checkEndpoint(modelEndpoint, credential, { signal, wayOut: new WayOut(wayOut) })];
}

const NO_CREDENTIAL = new AppError("NO_CREDENTIAL", "No credential for the model is configured.", {
  help: "Store an API key, or a token from `claude setup-token`: claudecluster credential set",
});

/** One that was started in the foreground has what its own environment held. */
function ofRunningHost({ credentialKind, modelEndpoint }: GetHostInfoResponse): string {
  const endpoint = URL.canParse(modelEndpoint) ? `, for ${new URL(modelEndpoint).host}` : "";
  return `${credentialKind} of the host that is running${endpoint}`;
}

async function checkPlace(
  { directories }: Exclude<DoctorOptions["place"], AppError>,
  host: FoundHost,
): Promise<Finding[]> {
  return [checkState(directories), await checkDisk(directories), ...checkHost(host, directories)];
}

/** The host that is running, or why that cannot be known. Undefined: none is. */
type FoundHost = GetHostInfoResponse | AppError | undefined;

async function findHost(link: Pick<HostLink, "find">): Promise<FoundHost> {
  try {
    return await link.find();
  } catch (error) {
    return asExplainedError(error);
  }
}

/** Makes the directory as any command would, and writes in it. */
function checkState({ stateDirectory }: HostDirectories): Finding {
  const subject = "state";
  try {
    tryStateDirectory(stateDirectory);
    return { subject, ok: true, message: stateDirectory };
  } catch (error) {
    return problem(subject, error);
  }
}

/** Nothing where none is running and one could. */
function checkHost(info: FoundHost, directories: HostDirectories): Finding[] {
  const subject = "host";
  if (info instanceof AppError) return [problem(subject, info)];
  try {
    if (info === undefined) {
      tryRuntimeDirectory(directories.runtimeDirectory);
      return [];
    }
    const help = newerConfig(info, directories.configDirectory);
    return [{ subject, ok: true, message: `${info.hostVersion} is running`, ...(help !== undefined && { help }) }];
  } catch (error) {
    return [problem(subject, error)];
  }
}

async function checkDisk({ stateDirectory }: HostDirectories): Promise<Finding> {
  const subject = "disk";
  try {
    const { bavail, bsize } = await statfs(await existing(stateDirectory));
    const free = bavail * bsize;
    const amount = free < 1024 ** 3 ? `${Math.floor(free / 1024 ** 2)} MiB` : `${(free / 1024 ** 3).toFixed(1)} GiB`;
    const message = `${amount} free for ${stateDirectory}`;
    return free >= LOW_DISK_BYTES
      ? { subject, ok: true, message }
      : { subject, ok: false, message, help: "Free some space." };
  } catch (error) {
    return problem(subject, error);
  }
}

/** The directory, or the nearest above it that is there: what keeps it from being made is told by itself. */
async function existing(directory: string): Promise<string> {
  const above = dirname(directory);
  return await stat(directory).then(
    () => directory,
    () => (above === directory ? directory : existing(above)),
  );
}
