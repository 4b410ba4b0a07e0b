import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import semver from "semver";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type CheckRuntimeResponse,
  type GetHostInfoResponse,
  RuntimeFacts_EnforcedLimit as Limit,
  RuntimeFacts_NetworkSeal as Seal,
} from "../../proto/control.ts";
import { AppError } from "../../proto/index.ts";
import { buildCommand, isOwnImage } from "../containers/own-image.ts";
import { ConfiguredCredential } from "../config/configured-credential.ts";
import { explainCredential } from "../daemon/explain-credential.ts";
import type { HostConfig } from "../config/config.ts";
import type { HostLink } from "../daemon/host-link.ts";
import type { HostDirectories } from "../directories.ts";
import { asExplainedError } from "../file-problem.ts";
import { gibibytes } from "../gibibytes.ts";
import { tryStateDirectory } from "../state-directory.ts";
import { VERSION } from "../version.ts";
import type { Credential } from "../broker/model/credential.ts";
import { WayOut } from "../broker/way-out.ts";
import { warmPoolLine } from "../present/warm-pool.ts";
import { checkClaude } from "./check-claude.ts";
import { checkEndpoint } from "./check-endpoint.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { type Finding, problem } from "./finding.ts";
import { newerConfig } from "./newer-config.ts";
import { otherVersion } from "./other-version.ts";
import { printJson } from "./print-json.ts";

/** Claude Code is released on most weekdays; one much older than this misses fixes. */
const OLD_CLI_DAYS = 30;
const LOW_DISK_BYTES = 2 * 1024 ** 3;

/** Things that the doctor looks at. An error stands for what could not be read, and is a finding itself. */
export interface DoctorOptions {
  /** Where a host keeps its own, and the way to it. */
  place: { directories: HostDirectories; link: Pick<HostLink, "find" | "connect" | "checkRuntime"> } | AppError;
  config: HostConfig | AppError;
  /** Looks at the runtime without a host, for where none can be asked. */
  checkRuntime(options: { signal: AbortSignal }): Promise<CheckRuntimeResponse>;
}

/**
 * Checks everything that a session needs, and prints a line for each thing, with what to do if it is missing. An error is a
 * line, too, and the rest is still checked. Returns EXIT.environment if any line is a problem.
 */
export async function doctorCommand(
  { place, config, checkRuntime }: DoctorOptions,
  options: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const configured = config instanceof AppError ? undefined : config;
  const host = place instanceof AppError ? place : await findHost(place.link);
  const info = host instanceof AppError ? undefined : host;
  const { signal } = io;
  const runtime =
    place instanceof AppError || info === undefined
      ? await checkRuntime({ signal })
      : // One of before does not know the call.
        await place.link.checkRuntime({ signal }).catch(() => checkRuntime({ signal }));
  const found: Finding[] = [
    { subject: "claudecluster", ok: true, message: `${VERSION}, Node ${process.versions.node}` },
    ...(await checkClaude(claudeIn(runtime), io)),
    ...(config === place || configured !== undefined ? [] : [problem("configuration", config)]),
    ...describeRuntime(runtime),
    ...(configured === undefined ? [] : describeWayOut(configured)),
    ...(configured === undefined ? [] : await checkModel(configured, info, io)),
    ...(place instanceof AppError ? [problem("directories", place)] : await checkPlace(place, host)),
  ];
  // What keeps a host from starting is often one of these already.
  const findings = found.filter(({ message }, at) => found.findIndex((each) => each.message === message) === at);
  if (options.json) printJson(io.stdout, findings);
  else {
    for (const { subject, ok, message, help } of findings) {
      io.stdout.write(`${ok ? "ok     " : "PROBLEM"}  ${subject.padEnd(14)} ${message}\n`);
      if (help !== undefined) io.stdout.write(`${" ".repeat(24)}${help}\n`);
    }
  }
  return findings.every(({ ok }) => ok) ? EXIT.done : EXIT.environment;
}

function describeRuntime({ health, image }: CheckRuntimeResponse): Finding[] {
  const subject = "engine";
  if (health.case === "unhealthy") {
    const { message, help } = health.value;
    return [{ subject, ok: false, message, help }];
  }
  if (health.case === undefined) return [];
  const { description, networkSeal, enforcedLimits, warnings } = health.value;
  const parts = [description, SEALS[networkSeal] ?? "", heldTo(enforcedLimits), ...warnings];
  return [{ subject, ok: true, message: parts.filter((part) => part !== "").join("; ") }, ...describeImage(image)];
}

function describeImage(image: CheckRuntimeResponse["image"]): Finding[] {
  const subject = "image";
  if (image.case === undefined) return [];
  if (image.case === "imageProblem") {
    const { reason, message, help } = image.value;
    return [{ subject, ok: reason === "IMAGE_NOT_BUILT", message, ...(help !== "" && { help }) }];
  }
  const { name, labels, createTime } = image.value;
  const version = labels[CLAUDE_VERSION] ?? "unknown";
  const days = Math.floor((Date.now() - (createTime === undefined ? 0 : timestampMs(createTime))) / 86_400_000);
  const message = `${name} with Claude Code ${version}, built ${days === 0 ? "today" : `${days} days ago`}`;
  const help = oldImage(name, labels["dev.claudecluster.agent-version"], days);
  return [{ subject, ok: true, message, ...(help !== undefined && { help }) }];
}

/** What to do about an image of an older version of ours, or with an old Claude Code. */
function oldImage(name: string, agentVersion: string | undefined, days: number): string | undefined {
  const build = buildCommand(name);
  if (semver.lt(semver.parse(agentVersion) ?? VERSION, VERSION))
    return isOwnImage(name)
      ? `It is of version ${agentVersion}; the next session builds it anew, and so does: ${build}`
      : `It is of version ${agentVersion}. Build it anew: ${build}`;
  if (days <= OLD_CLI_DAYS) return undefined;
  return `Rebuild it with a newer Claude Code: ${build} --claude-version latest`;
}

const CLAUDE_VERSION = "dev.claudecluster.claude-version";

function claudeIn({ image }: CheckRuntimeResponse): string | undefined {
  return image.case === "foundImage" ? image.value.labels[CLAUDE_VERSION] : undefined;
}

const SEALS: Partial<Record<Seal, string>> = {
  [Seal.NO_INTERFACE]: "containers have no network interface",
  [Seal.POLICY]: "a policy of the network keeps containers from it",
};

const LIMITS: Partial<Record<Limit, string>> = {
  [Limit.MEMORY]: "memory",
  [Limit.CPU]: "CPU",
  [Limit.PROCESSES]: "processes",
  [Limit.SYSTEM_CALLS]: "system calls",
};

function heldTo(limits: Limit[]): string {
  const names = limits.flatMap((limit) => LIMITS[limit] ?? []);
  return names.length === 0 ? "" : `held to limits of ${names.join(", ")}`;
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
  return [checkState(directories), await checkDisk(directories), checkHost(host, directories), ...describePool(host)];
}

/** Prepared containers of the host that is running. */
function describePool(host: FoundHost): Finding[] {
  if (host instanceof AppError || host.warmPool === undefined) return [];
  return [{ subject: "warm", ok: true, message: warmPoolLine(host.warmPool) }];
}

/** The host that is running, or why none is. */
type FoundHost = GetHostInfoResponse | AppError;

/** Starts a host where none is there: what keeps that from starting keeps sessions from it. */
async function findHost(link: Pick<HostLink, "find" | "connect">): Promise<FoundHost> {
  try {
    return (await link.find()) ?? (await link.connect());
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

function checkHost(host: FoundHost, { configDirectory }: HostDirectories): Finding {
  const subject = "host";
  if (host instanceof AppError) return problem(subject, host);
  try {
    const help = newerConfig(host, configDirectory) ?? otherVersion(host);
    return { subject, ok: true, message: `${host.hostVersion} is running`, ...(help !== undefined && { help }) };
  } catch (error) {
    return problem(subject, error);
  }
}

async function checkDisk({ stateDirectory }: HostDirectories): Promise<Finding> {
  const subject = "disk";
  try {
    const { bavail, bsize } = await statfs(await existing(stateDirectory));
    const free = bavail * bsize;
    const amount = free < 1024 ** 3 ? `${Math.floor(free / 1024 ** 2)} MiB` : gibibytes(free);
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
