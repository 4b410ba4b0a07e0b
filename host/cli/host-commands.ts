import { type Command, Option } from "commander";
import { VERSION } from "../version.ts";
import { type CommandContext, hostLink, withSession } from "./command-context.ts";
import type { EngineFilterFlags } from "./engine-filter.ts";
import type { ServeFlags } from "./serve.ts";
import type { UsageFlags } from "./usage.ts";

const CREDENTIAL_USAGE =
  "error: this is not understood; a credential is given on standard input, never as an argument\n" +
  "See claudecluster credential --help.\n";

/**
 * Adds the commands that run the host, or are about it and the machine. A command loads what it needs only when it runs:
 * Claude Code starts `mcp` each time that it starts itself.
 */
export function addHostCommands(program: Command, { io, setExitCode }: CommandContext): void {
  const directories = async () => (await import("../directories.ts")).readDirectories(io.env);

  program
    .command("mcp")
    .description("serve MCP on standard input and output, for Claude Code")
    .action(async () => {
      await import("./few-messages.ts");
      const { mcpCommand } = await import("./mcp.ts");
      const { LateHostLink } = await import("./late-host-link.ts");
      await using link = new LateHostLink(io);
      setExitCode(await mcpCommand(link, io));
    });

  program
    .command("serve")
    .description("be the host in the foreground; other commands start one in the background by themselves")
    .option("--mcp-http <host:port>", "also serve MCP over HTTP, for callers with a token")
    .option("--allow-host <name...>", "further names that callers of MCP, and probes, may use for this server")
    .option("--listen <host:port>", "also serve the control API on TCP, for callers with a token")
    .option(
      "--token-file <file>",
      "file with a bearer token that these callers may share, beside those of `token add`",
      io.env["CLAUDECLUSTER_TOKEN_FILE"],
    )
    .option("--listen-anywhere", "allow addresses that are not loopback: tokens then travel in the clear")
    .addOption(new Option("--on-demand").hideHelp())
    .action(async (flags: ServeFlags) => {
      const { serveCommand, toServeOptions } = await import("./serve.ts");
      const { readConfig } = await import("../config/config.ts");
      setExitCode(await serveCommand(() => readConfig(io.env), await toServeOptions(flags), io));
    });

  program
    .command("engine-filter")
    .description("stand between a host and the Docker engine, and pass on only what sessions need")
    .requiredOption("--listen <socket>", "the socket to make for the host (its DOCKER_HOST)")
    .option("--engine <socket>", "the engine's socket", "/var/run/docker.sock")
    .option("--image <name...>", "the images that containers may be made from; otherwise the configured one")
    .option("--compose-service <name>", "make them one-off containers of this service of the filter's compose project")
    .action(async (flags: EngineFilterFlags) => {
      const { engineFilterCommand } = await import("./engine-filter.ts");
      const { readConfig } = await import("../config/config.ts");
      setExitCode(await engineFilterCommand(readConfig(io.env), flags, io));
    });

  program
    .command("status")
    .description("show the host that is running; starts none")
    .option("--json", "print it as JSON")
    .action(async ({ json = false }: { json?: boolean }) => {
      using link = await hostLink(io);
      const { statusCommand } = await import("./status.ts");
      setExitCode(await statusCommand(link, await directories(), { json }, io));
    });

  program
    .command("usage")
    .description("show what sessions have used of the model, also those that were removed: of the last 400 days")
    .option("--since <day>", "from this day, as 2026-11-23, or 7d for the last 7 days (UTC)", "30d")
    .option("--until <day>", "to this day, included")
    .addOption(
      new Option("--by <what...>", "what to tell it apart by: one or several")
        .choices(["day", "repository", "model", "outcome", "caller"])
        .default(["day"], "day"),
    )
    .addOption(new Option("--json", "print it as JSON").conflicts("csv"))
    .option("--csv", "print it as CSV")
    .action(async (flags: UsageFlags) => {
      using link = await hostLink(io);
      const { usageCommand } = await import("./usage.ts");
      setExitCode(await usageCommand(link, flags, io));
    });

  program
    .command("ui")
    .description("open the host's page in a browser")
    .option("--no-open", "print its address, for a browser of your choice; it lets one in, for a minute")
    .option("--sign-out", "sign out every browser, and serve the page no more")
    .action(async (flags: { open: boolean; signOut?: boolean }) => {
      using link = await hostLink(io);
      const { uiCommand } = await import("./ui.ts");
      setExitCode(await uiCommand(link, { open: flags.open, signOut: flags.signOut === true }, io));
    });

  program
    .command("backup")
    .description("write all sessions with what they left into one new file, also while the host runs; no credentials")
    .argument("<file>", "the file to make: a tar, for this user alone")
    .action(async (file: string) => {
      const { backupCommand } = await import("./backup.ts");
      setExitCode(await backupCommand(file, await directories(), io));
    });

  program
    .command("restore")
    .description("take the sessions of a backup, all of them or none")
    .argument("<file>", "what backup has made")
    .option("--replace", "remove the sessions that there are now")
    .option("--shutdown", "end the running host once the backup is checked")
    .action(async (file: string, { replace = false, shutdown = false }: { replace?: boolean; shutdown?: boolean }) => {
      using link = await hostLink(io);
      const { restoreCommand } = await import("./backup.ts");
      setExitCode(await restoreCommand(link, { file, replace, shutdown }, await directories(), io));
    });

  program
    .command("shutdown")
    .description("end the host; sessions go on in their containers and the next host takes them up")
    .option("--when-idle", "only if no session is live")
    .action(async ({ whenIdle = false }: { whenIdle?: boolean }) => {
      using link = await hostLink(io);
      const { shutdownCommand } = await import("./status.ts");
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
    .action(async (options: { kind?: "api-key" | "auth-token" | "oauth-token" }) => {
      const { setCredentialCommand } = await import("./credential.ts");
      setExitCode(await setCredentialCommand(await directories(), options, io));
    });
  credential
    .command("show")
    .description("print the kind of the credential, never the credential")
    .option("--json", "print it as JSON")
    .action(async ({ json = false }: { json?: boolean }) => {
      const { showCredentialCommand } = await import("./credential.ts");
      const { readHostConfig } = await import("../daemon/host-config.ts");
      setExitCode(showCredentialCommand(() => readHostConfig(io.env), { json }, io));
    });
  credential
    .command("remove")
    .description("forget the stored credential")
    .action(async () => {
      const { removeCredentialCommand } = await import("./credential.ts");
      setExitCode(removeCredentialCommand(await directories(), io));
    });

  const token = program.command("token").description("tokens of callers elsewhere, one for each: for `serve` on TCP");
  token
    .command("add")
    .description("make a token for a caller, and print it: it is shown only once")
    .argument("<name>", "the caller's name, as sessions and the log have it")
    .action(async (name: string) => {
      const { addTokenCommand } = await import("./token.ts");
      setExitCode(addTokenCommand(await directories(), name, io));
    });
  token
    .command("list")
    .description("list the callers that have a token, never the tokens")
    .option("--json", "print it as JSON")
    .action(async ({ json = false }: { json?: boolean }) => {
      const { listTokensCommand } = await import("./token.ts");
      setExitCode(listTokensCommand(await directories(), { json }, io));
    });
  token
    .command("remove")
    .description("make a caller's token count no more, also for the calls that are open; sessions go on")
    .argument("<name>", "the caller's name")
    .action(async (name: string) => {
      const { removeTokenCommand } = await import("./token.ts");
      setExitCode(removeTokenCommand(await directories(), name, io));
    });

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
      const { diagnoseCommand } = await import("./diagnose.ts");
      setExitCode(await diagnoseCommand({ json }, io));
    });

  program
    .command("image")
    .description("build the agent's image")
    .option("--claude-version <version>", "another Claude Code than the one that was tested")
    .option("--base <image>", "Debian 12 with Node 24 and npm, to build on")
    .option("--tag <name>", "the image's name (default: claudecluster/agent:latest)")
    .option("--force", "build also where an image of the same parts is there")
    .addOption(new Option("--host", "build the host's image instead").hideHelp())
    .action(async (flags: Record<string, string | true>) => {
      const { imageCommand } = await import("./image.ts");
      const { readConfig } = await import("../config/config.ts");
      setExitCode(await imageCommand(readConfig(io.env), flags));
    });

  program
    .command("demo")
    .description("run one session on a sample repository, by a scripted model without a credential in the environment")
    .action(async () => {
      const { demoCommand } = await import("./demo.ts");
      setExitCode(await demoCommand(io));
    });

  program
    .command("version")
    .description("print the version")
    .action(() => void io.stdout.write(`${VERSION}\n`));
}
