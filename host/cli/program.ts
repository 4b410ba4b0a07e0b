import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Command, CommanderError, Option } from "commander";
import { z } from "zod";
import { AppError, asAppError } from "../../proto/index.ts";
import { createApp, createLogger, createRuntime } from "../app.ts";
import { readConfig } from "../config.ts";
import { HostLink } from "../daemon/host-link.ts";
import { readDirectories } from "../directories.ts";
import type { SpawnInput } from "../session/spawn-request.ts";
import { VERSION } from "../version.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { dialCommand } from "./dial.ts";
import { doctorCommand } from "./doctor.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { mcpHttpCommand, mcpStdioCommand } from "./mcp.ts";
import { runCommand } from "./run.ts";
import { serveCommand, type ServeFlags, toServeOptions } from "./serve.ts";
import { shutdownCommand, statusCommand } from "./status.ts";

/** Runs the command line and returns the exit code. Prints errors as one line and one hint. */
export async function main(args: string[], io: CommandIo): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = createProgram(io, (code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const known = error instanceof z.ZodError ? usageError(error) : asAppError(error);
    io.stderr.write(`${known.reason}: ${known.message}\n`);
    if (known.help !== "") io.stderr.write(`${known.help}\n`);
    return exitCodeOf(known);
  }
}

function createProgram(io: CommandIo, setExitCode: (code: number) => void): Command {
  const config = () => readConfig(io.env);
  const program = new Command("claudecluster")
    .description("Starts sealed, containerised Claude Code instances and brings their changes back.")
    .version(VERSION, "-V, --version")
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) });

  program
    .command("run")
    .description("run one session to its end: progress on stderr, patch and answer on stdout")
    .argument("<task>", "what Claude is to do")
    .option("-r, --repository <url>", "http(s) URL of the repository to clone")
    .option("--ref <ref>", "branch, tag or full commit id")
    .option("-m, --model <model>", "model name or alias")
    .option("-t, --timeout <seconds>", "time for the session (default: 300)", Number)
    .option("--permission-mode <mode>", "Claude Code's permission mode (default: bypassPermissions)")
    .option("--image <image>", "image with the agent")
    .option("--memory <size>", 'memory limit (default: "2g")')
    .option("--cpus <count>", "CPU limit (default: 2)", Number)
    .option("--max-steps <count>", "most model steps", Number)
    .option("-e, --env <name=value>", "variable for Claude's environment; may be repeated", collectVariable, {})
    .option("--json", "print the result as JSON")
    .action(async (task: string, options: RunOptions) => {
      await using app = createApp(config(), createLogger(config().logLevel));
      setExitCode(await runCommand(app, toInput(task, options), { json: options.json === true }, io));
    });

  program
    .command("mcp")
    .description("serve MCP on standard input and output, for Claude Code")
    .option("--http <host:port>", "serve MCP over HTTP instead")
    .option(
      "--token-file <file>",
      "file with the bearer token that HTTP callers must show",
      io.env["CLAUDECLUSTER_TOKEN_FILE"],
    )
    .option("--allow-host <name...>", "further names that HTTP callers may use for this server", [])
    .action(async (options: { http?: string; tokenFile?: string; allowHost: string[] }) => {
      await using app = createApp(config(), createLogger(config().logLevel));
      if (options.http === undefined) return setExitCode(await mcpStdioCommand(app, io));
      if (options.tokenFile === undefined) {
        throw new AppError("TOKEN_FILE_MISSING", "MCP over HTTP needs a bearer token.", {
          kind: "INVALID_ARGUMENT",
          help: "Make one (openssl rand -hex 32 > token; chmod 600 token) and pass --token-file token.",
        });
      }
      const { http: address, tokenFile, allowHost: allowedHosts } = options;
      setExitCode(await mcpHttpCommand(app, { address, tokenFile, allowedHosts }, io));
    });

  program
    .command("serve")
    .description("be the host in the foreground; other commands start one in the background by themselves")
    .option("--listen <host:port>", "also serve the control API on TCP, for callers with the token")
    .option(
      "--token-file <file>",
      "file with the bearer token that TCP callers must show",
      io.env["CLAUDECLUSTER_TOKEN_FILE"],
    )
    .option("--listen-anywhere", "allow an address that is not loopback: the token then travels in the clear")
    .addOption(new Option("--on-demand").hideHelp())
    .action(async (options: ServeFlags) => setExitCode(await serveCommand(config, await toServeOptions(options), io)));

  program
    .command("status")
    .description("show the host that is running")
    .option("--json", "print it as JSON")
    .action(async (options: { json?: boolean }) => {
      using link = new HostLink({ directories: readDirectories(io.env), env: io.env });
      setExitCode(await statusCommand(link, { json: options.json === true }, io));
    });

  program
    .command("shutdown")
    .description("end the host; sessions go on in their containers and the next host takes them up")
    .option("--when-idle", "only if no session is live")
    .action(async (options: { whenIdle?: boolean }) => {
      using link = new HostLink({ directories: readDirectories(io.env), env: io.env });
      setExitCode(await shutdownCommand(link, { whenIdle: options.whenIdle === true }, io));
    });

  program
    .command("dial")
    .description("offer a private socket to a running session's agent, for grpcurl or buf curl")
    .argument("<session>", "the session's id, or the start of it")
    .action(async (sessionId: string) => {
      await using runtime = createRuntime(config(), createLogger(config().logLevel));
      setExitCode(await dialCommand(runtime, sessionId, io));
    });

  program
    .command("doctor")
    .description("look at everything that a session needs, and say what to do")
    .option("--json", "print the findings as JSON")
    .action(async (options: { json?: boolean }) => {
      await using runtime = createRuntime(config(), createLogger(config().logLevel));
      setExitCode(await doctorCommand(runtime, config(), { json: options.json === true }, io));
    });

  program
    .command("image")
    .description("build the agent's image, with --claude-version for another Claude Code")
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async (_options: unknown, command: Command) => setExitCode(await buildImage(command.args)));

  program
    .command("version")
    .description("print the version")
    .action(() => void io.stdout.write(`${VERSION}\n`));

  return program;
}

interface RunOptions {
  repository?: string;
  ref?: string;
  model?: string;
  timeout?: number;
  permissionMode?: SpawnInput["permission_mode"];
  image?: string;
  memory?: string;
  cpus?: number;
  maxSteps?: number;
  env: Record<string, string>;
  json?: boolean;
}

function toInput(task: string, options: RunOptions): SpawnInput {
  const { repository, ref, model, timeout, permissionMode, image, memory, cpus, maxSteps, env } = options;
  const input = { task, repository, ref, model, image, memory, cpus, environment: env };
  return { ...input, timeout_seconds: timeout, permission_mode: permissionMode, max_steps: maxSteps };
}

function collectVariable(entry: string, known: Record<string, string>): Record<string, string> {
  const equals = entry.indexOf("=");
  if (equals < 1) {
    throw new AppError("ENVIRONMENT_INVALID", `"${entry.slice(0, 40)}" is not NAME=VALUE.`, {
      kind: "INVALID_ARGUMENT",
    });
  }
  return { ...known, [entry.slice(0, equals)]: entry.slice(equals + 1) };
}

function usageError(error: z.ZodError): AppError {
  return new AppError("ARGUMENT_INVALID", z.prettifyError(error), {
    kind: "INVALID_ARGUMENT",
    help: "See claudecluster run --help.",
  });
}

/** The image is built by the same script as in a clone. */
function buildImage(args: string[]): Promise<number> {
  const script = fileURLToPath(new URL("../docker/build-image.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? EXIT.environment));
  });
}
