import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import { AppError } from "../../proto/index.ts";
import { type HostConfig, readConfig } from "../config/config.ts";
import { hostEnvironment } from "../daemon/host-environment.ts";
import { readDirectories } from "../directories.ts";
import { asExplainedError } from "../file-problem.ts";
import { createLogger } from "../logger.ts";
import { VERSION } from "../version.ts";
import { type CommandContext, hostLink, withSession } from "./command-context.ts";
import { EXIT } from "./command-io.ts";
import { removeCredentialCommand, setCredentialCommand, showCredentialCommand } from "./credential.ts";
import type { EngineFilterFlags } from "./engine-filter.ts";
import type { ServeFlags } from "./serve.ts";
import { shutdownCommand, statusCommand } from "./status.ts";

const CREDENTIAL_USAGE =
  "error: this is not understood; a credential is given on standard input, never as an argument\n" +
  "See claudecluster credential --help.\n";

/**
 * Adds the commands that run the host, or are about it and the machine. A command loads what it needs only when it runs: the
 * engine's client takes time.
 */
export function addHostCommands(program: Command, { io, setExitCode }: CommandContext): void {
  /** As a host that is started on demand is set, whatever Claude Code this runs in. */
  const config = () => readConfig(hostEnvironment(io.env, readDirectories(io.env)));
  const directories = () => readDirectories(io.env);

  program
    .command("mcp")
    .description("serve MCP on standard input and output, for Claude Code")
    .action(async () => {
      const { mcpCommand } = await import("./mcp.ts");
      using link = hostLink(io);
      setExitCode(await mcpCommand(link, io));
    });

  program
    .command("serve")
    .description("be the host in the foreground; other commands start one in the background by themselves")
    .option("--mcp-http <host:port>", "also serve MCP over HTTP, for callers with the token")
    .option("--allow-host <name...>", "further names that MCP callers may use for this server")
    .option("--listen <host:port>", "also serve the control API on TCP, for callers with the token")
    .option(
      "--token-file <file>",
      "file with the bearer token that these callers must show",
      io.env["CLAUDECLUSTER_TOKEN_FILE"],
    )
    .option("--listen-anywhere", "allow addresses that are not loopback: the token then travels in the clear")
    .addOption(new Option("--on-demand").hideHelp())
    .action(async (flags: ServeFlags) => {
      const { serveCommand, toServeOptions } = await import("./serve.ts");
      setExitCode(await serveCommand(() => readConfig(io.env), await toServeOptions(flags), io));
    });

  program
    .command("engine-filter")
    .description("stand between a host and the Docker engine, and pass on only what sessions need")
    .requiredOption("--listen <socket>", "the socket to make for the host (its DOCKER_HOST)")
    .option("--engine <socket>", "the engine's socket", "/var/run/docker.sock")
    .option("--image <name...>", "the images that containers may be made from; otherwise the configured one")
    .action(async (flags: EngineFilterFlags) => {
      const { engineFilterCommand } = await import("./engine-filter.ts");
      setExitCode(await engineFilterCommand(readConfig(io.env), flags, io));
    });

  program
    .command("status")
    .description("show the host that is running; starts none")
    .option("--json", "print it as JSON")
    .action(async ({ json = false }: { json?: boolean }) => {
      using link = hostLink(io);
      setExitCode(await statusCommand(link, directories(), { json }, io));
    });

  program
    .command("shutdown")
    .description("end the host; sessions go on in their containers and the next host takes them up")
    .option("--when-idle", "only if no session is live")
    .action(async ({ whenIdle = false }: { whenIdle?: boolean }) => {
      using link = hostLink(io);
      setExitCode(await shutdownCommand(link, { whenIdle }, io));
    });

  const credential = program
    .command("credential")
    .description("the host's credential for the model")
    // The parser would repeat what it does not understand, and that may be the credential.
    .configureOutput({ outputError: (_text, write) => write(CREDENTIAL_USAGE) });
  credential
    .command("set")
    .description("store the credential that is given on standard input, readable for this user only")
    .addOption(
      new Option("--kind <kind>", "what it is; otherwise told by its looks").choices([
        "api-key",
        "auth-token",
        "oauth-token",
      ]),
    )
    .action(async (options: { kind?: "api-key" | "auth-token" | "oauth-token" }) =>
      setExitCode(await setCredentialCommand(directories(), options, io)),
    );
  credential
    .command("show")
    .description("print the kind of the credential, never the credential")
    .option("--json", "print it as JSON")
    .action(({ json = false }: { json?: boolean }) => setExitCode(showCredentialCommand(config, { json }, io)));
  credential
    .command("remove")
    .description("forget the stored credential")
    .action(() => setExitCode(removeCredentialCommand(directories(), io)));

  program
    .command("dial")
    .description("offer a private socket to a running session's agent, for grpcurl or buf curl")
    .argument("<session>", "the session's id, or its start or end")
    .action((session: string) =>
      withSession({ io, setExitCode }, session, async (sessions, id) => {
        const { dialCommand } = await import("./dial.ts");
        return await dialCommand(sessions, id, io);
      }),
    );

  program
    .command("doctor")
    .description("look at everything that a session needs, and say what to do")
    .option("--json", "print the findings as JSON")
    .action(async ({ json = false }: { json?: boolean }) => {
      const { doctorCommand } = await import("./doctor.ts");
      const found = readOrProblem(directories);
      const configured = found instanceof AppError ? found : readOrProblem(config);
      using link = found instanceof AppError ? undefined : hostLink(io);
      const place =
        found instanceof AppError || link === undefined ? (found as AppError) : { directories: found, link };
      const checkRuntime = (options: { signal: AbortSignal }) => checkRuntimeHere(configured, options);
      setExitCode(await doctorCommand({ place, config: configured, checkRuntime }, { json }, io));
    });

  program
    .command("image")
    .description("build the agent's image")
    .option("--claude-version <version>", "another Claude Code than the one that was tested")
    .option("--base <image>", "Debian 12 with Node 24 and npm, to build on")
    .option("--tag <name>", "the image's name (default: claudecluster/agent with this version, and as the latest)")
    .option("--force", "build also where an image of the same parts is there")
    .addOption(new Option("--host", "build the host's image instead").hideHelp())
    .action(async (flags: Record<string, string | true>) => setExitCode(await buildImage(flags)));

  program
    .command("version")
    .description("print the version")
    .action(() => void io.stdout.write(`${VERSION}\n`));
}

/** Looks at the runtime as a host would, where none can be asked. It makes no container, and needs no name for its own. */
async function checkRuntimeHere(config: HostConfig | AppError, { signal }: { signal: AbortSignal }) {
  const { createRuntime } = await import("../app.ts");
  const { checkRuntime } = await import("../control/check-runtime.ts");
  const { logLevel, allowWeakLimits, defaultImage } = config instanceof AppError ? UNCONFIGURED : config;
  await using runtime = createRuntime({ hostId: undefined, allowWeakLimits }, createLogger(logLevel));
  return await checkRuntime(runtime, { image: defaultImage, signal });
}

/** What it is looked at with where the configuration cannot be read. */
const UNCONFIGURED = { logLevel: "warn", allowWeakLimits: false, defaultImage: undefined };

function readOrProblem<T>(read: () => T): T | AppError {
  try {
    return read();
  } catch (error) {
    return asExplainedError(error);
  }
}

/** The image is built by the same script as in a clone. */
function buildImage(flags: Record<string, string | true>): Promise<number> {
  const args = Object.entries(flags).flatMap(([name, value]) => {
    const option = `--${name === "claudeVersion" ? "claude-version" : name}`;
    return value === true ? [option] : [`${option}=${value}`];
  });
  const script = fileURLToPath(new URL("../docker/build-image.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? EXIT.environment));
  });
}
