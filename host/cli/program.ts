import { Command, CommanderError } from "commander";
import { VERSION } from "../version.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { addHostCommands } from "./host-commands.ts";

/** Runs the command line and returns the exit code. An error goes to standard error: reason and message, then a hint. */
export async function main(args: string[], io: CommandIo): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = new Command("claudecluster")
    .description("Starts sealed, containerised Claude Code instances and brings their changes back.")
    .version(VERSION, "-V, --version")
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) });
  const context = { io, setExitCode: (code: number) => (exitCode = code) };
  // Of a host that is started on demand whoever starts it has told.
  program.hook("preAction", async (_program, command) => {
    const mayBeUnknown = Object.keys(io.env).some((name) => name.startsWith("CLAUDECLUSTER_"));
    if (!mayBeUnknown || command.opts()["onDemand"] === true) return;
    const { describeUnknownVariables } = await import("../config/unknown-variables.ts");
    const { oneLine } = await import("../present/plain-text.ts");
    for (const warning of describeUnknownVariables(io.env)) io.stderr.write(`warning: ${oneLine(warning)}\n`);
  });
  addHostCommands(program, context);
  const commands = program.commands as Command[];
  if (!commands.some((command) => command.name() === args[0])) {
    const ofHost = commands.splice(0);
    const { addSessionCommands } = await import("./session-commands.ts");
    addSessionCommands(program, context);
    commands.push(...ofHost);
  }
  program.showHelpAfterError("See claudecluster --help.");
  for (const command of program.commands) {
    command.showHelpAfterError(`See claudecluster ${command.name()} --help.`);
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (error === io.signal.reason && /^SIG[A-Z]+$/.test((error as Error).message)) {
      io.stderr.write(`Canceled by ${(error as Error).message}.\n`);
      return EXIT.canceled;
    }
    const { asExplainedError } = await import("../file-problem.ts");
    const { indent } = await import("../present/indent.ts");
    const { oneLine, plainText } = await import("../present/plain-text.ts");
    const { exitCodeOf } = await import("./exit-codes.ts");
    const known = asExplainedError(error);
    // What comes from elsewhere may have lines of its own: they begin below the first.
    io.stderr.write(`${oneLine(known.reason)}: ${indent(plainText(known.message), 2).trimStart()}\n`);
    if (known.help !== "") io.stderr.write(`${oneLine(known.help)}\n`);
    return exitCodeOf(known);
  }
}
