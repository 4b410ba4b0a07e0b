import { Command, CommanderError } from "commander";
import { describeUnknownVariables } from "../config/unknown-variables.ts";
import { asExplainedError } from "../file-problem.ts";
import { indent } from "../present/indent.ts";
import { oneLine, plainText } from "../present/plain-text.ts";
import { VERSION } from "../version.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { addHostCommands } from "./host-commands.ts";
import { addSessionCommands } from "./session-commands.ts";

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
  program.hook("preAction", (_program, command) => {
    if (command.opts()["onDemand"] === true) return;
    for (const warning of describeUnknownVariables(io.env)) io.stderr.write(`warning: ${oneLine(warning)}\n`);
  });
  addSessionCommands(program, context);
  addHostCommands(program, context);
  program.showHelpAfterError("See claudecluster --help.");
  for (const command of program.commands) {
    command.showHelpAfterError(`See claudecluster ${command.name()} --help.`);
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const known = asExplainedError(error);
    // What comes from elsewhere may have lines of its own: they begin below the first.
    io.stderr.write(`${oneLine(known.reason)}: ${indent(plainText(known.message), 2).trimStart()}\n`);
    if (known.help !== "") io.stderr.write(`${oneLine(known.help)}\n`);
    return exitCodeOf(known);
  }
}
