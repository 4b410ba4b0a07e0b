import { statfs } from "node:fs/promises";
import { AppError, asAppError } from "../../proto/index.ts";
import { ConfiguredCredential } from "../configured-credential.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { HostConfig } from "../config.ts";
import type { HostLink } from "../daemon/host-link.ts";
import type { HostDirectories } from "../directories.ts";
import { VERSION } from "../version.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { newerConfig } from "./newer-config.ts";
import { printJson } from "./print-json.ts";

/** Claude Code is released on most weekdays; one much older than this misses fixes. */
const OLD_CLI_DAYS = 30;
const LOW_DISK_BYTES = 2 * 1024 ** 3;

interface Finding {
  subject: string;
  ok: boolean;
  message: string;
  help?: string;
}

/**
 * Looks at everything that a session needs and says what to do about what is missing. Of a configuration
 * that cannot be read it says why, and looks at what needs none.
 */
export async function doctorCommand(
  runtime: Runtime,
  link: Pick<HostLink, "find">,
  directories: HostDirectories,
  config: HostConfig | AppError,
  options: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const findings: Finding[] = [
    { subject: "claudecluster", ok: true, message: `${VERSION}, Node ${process.versions.node}` },
    ...(config instanceof AppError ? [problem("configuration", config)] : []),
    ...(await checkEngine(runtime, config, io.signal)),
    ...(config instanceof AppError ? [] : [await checkCredential(config)]),
    await checkDisk(directories),
    ...(await checkHost(link, directories)),
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

function problem(subject: string, error: unknown): Finding {
  const { message, help } = asAppError(error);
  return { subject, ok: false, message, ...(help !== "" && { help }) };
}

async function checkEngine(runtime: Runtime, config: HostConfig | AppError, signal: AbortSignal): Promise<Finding[]> {
  const health = await runtime.check({ signal });
  if (!health.healthy) return [{ subject: "engine", ok: false, message: health.message, help: health.help }];
  const engine: Finding = { subject: "engine", ok: true, message: [health.description, ...health.warnings].join("; ") };
  if (config instanceof AppError) return [engine];
  const subject = "image";
  const image = await runtime.inspectImage(config.defaultImage, { signal });
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

async function checkCredential({
  configDirectory,
  environmentCredential,
  modelEndpoint,
}: HostConfig): Promise<Finding> {
  const subject = "credential";
  try {
    const credential = await new ConfiguredCredential({ configDirectory, environmentCredential }).read();
    if (credential !== undefined) return { subject, ok: true, message: `${credential.kind} for ${modelEndpoint.host}` };
  } catch (error) {
    return problem(subject, error);
  }
  return {
    subject,
    ok: false,
    message: "No credential for the model is configured.",
    help: "Store an API key, or a token from `claude setup-token`: claudecluster credential set",
  };
}

/** Nothing where none is running. */
async function checkHost(link: Pick<HostLink, "find">, { configDirectory }: HostDirectories): Promise<Finding[]> {
  const subject = "host";
  try {
    const info = await link.find();
    if (info === undefined) return [];
    const help = newerConfig(info, configDirectory);
    return [{ subject, ok: true, message: `${info.hostVersion} is running`, ...(help !== undefined && { help }) }];
  } catch (error) {
    return [problem(subject, error)];
  }
}

async function checkDisk({ stateDirectory }: HostDirectories): Promise<Finding> {
  const subject = "disk";
  try {
    const { bavail, bsize } = await statfs(stateDirectory);
    const free = bavail * bsize;
    const message = `${(free / 1024 ** 3).toFixed(1)} GiB free for ${stateDirectory}`;
    return free >= LOW_DISK_BYTES
      ? { subject, ok: true, message }
      : { subject, ok: false, message, help: "Free some space." };
  } catch {
    // Made by the first session.
    return { subject, ok: true, message: `${stateDirectory} does not exist yet` };
  }
}
