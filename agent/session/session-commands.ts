import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  AppError,
  CommandOutputSchema,
  type CommandResult,
  type CommandSpec,
  cutSetup,
  describeCommandEnd,
  type EventBody,
  hasPassed,
  Phase,
  type SessionSpec,
  type SetupResult,
  SetupResultSchema,
} from "../../proto/index.ts";
import type { Logger } from "../log.ts";
import { OutputEvents } from "../process/output-events.ts";
import { endLeftovers } from "./collect.ts";
import type { SessionFiles } from "./session-files.ts";
import type { SessionPlace } from "./session-place.ts";

/** Session whose commands are run, and where what they say goes. */
export interface SessionCommandsOptions {
  spec: SessionSpec;
  gitPrefixes: readonly string[];
  place: Pick<SessionPlace, "runCommand" | "countProcesses" | "killLeftovers">;
  files: Pick<SessionFiles, "prepare">;
  log: Logger;
  emit(event: EventBody): void;
  enterPhase(phase: Phase): void;
}

/** Commands that a session runs before and after Claude: its setup and its check. */
export class SessionCommands {
  readonly #options: SessionCommandsOptions;
  #cwd = "";
  #setup: SetupResult | undefined;
  #check: CommandResult | undefined;

  constructor(options: SessionCommandsOptions) {
    this.#options = options;
  }

  /** How the setup ended. Undefined: it was not run to its end. */
  get setup(): SetupResult | undefined {
    return this.#setup;
  }

  /** How the check ended. Undefined: it was not run to its end. */
  get check(): CommandResult | undefined {
    return this.#check;
  }

  /** Runs the setup, if there is one, in the directory in which the check will run too. Throws SETUP_FAILED. */
  async setUp({ cwd, signal }: { cwd: string; signal: AbortSignal }): Promise<void> {
    this.#cwd = cwd;
    const { spec, place, files, emit } = this.#options;
    if (spec.setup === undefined || spec.setup.command === "") return;
    this.#options.enterPhase(Phase.SETUP);
    const before = place.countProcesses();
    const setup = create(SetupResultSchema);
    const changedPaths = await files.prepare(async () => {
      setup.result = await this.#run(spec.setup!, { phase: Phase.SETUP, signal });
      setup.leftProcessCount = Math.max(0, place.countProcesses() - before);
    }, signal);
    Object.assign(setup, { changedPaths, changedPathCount: changedPaths.length });
    this.#setup = cutSetup(setup);
    emit({ case: "setupFinished", value: this.#setup });
    if (!hasPassed(setup.result!)) throw setupFailed(setup.result!);
  }

  /** Runs the check, if there is one. Nothing of the session runs afterwards. Does not throw. */
  async runCheck(signal: AbortSignal): Promise<void> {
    const { spec, place, log, emit } = this.#options;
    if (spec.check === undefined || spec.check.command === "" || signal.aborted) return;
    this.#options.enterPhase(Phase.CHECK);
    try {
      const result = await this.#run(spec.check, { phase: Phase.CHECK, signal });
      emit({ case: "checkFinished", value: result });
      this.#check = result;
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, "the check could not be run");
    }
    await endLeftovers(place, log);
  }

  async #run(
    { command, timeout }: CommandSpec,
    { phase, signal }: { phase: Phase; signal: AbortSignal },
  ): Promise<CommandResult> {
    const { spec, gitPrefixes, place, emit } = this.#options;
    const output = new OutputEvents({
      name: phase === Phase.SETUP ? "setup" : "check",
      toEvent: (data) => ({ case: "commandOutput", value: create(CommandOutputSchema, { phase, data }) }),
    });
    const result = await place.runCommand({
      ...{ command, timeoutMs: durationMs(timeout!), cwd: this.#cwd, spec, gitPrefixes, signal },
      onOutput: (chunk) => output.push(chunk).forEach(emit),
    });
    output.flush().forEach(emit);
    return Object.assign(result, { outputTail: output.tail });
  }
}

function setupFailed(result: CommandResult): AppError {
  const { outputTail, exitCode, signal } = result;
  const said = outputTail === "" ? "It wrote nothing." : `Its last words: ${outputTail}`;
  return new AppError(
    "SETUP_FAILED",
    `The setup ended ${describeCommandEnd(result)}; Claude was not started. ${said}`,
    {
      metadata: { exit_code: String(exitCode ?? ""), signal, output: outputTail },
    },
  );
}
