import { type Command, Option } from "commander";
import { AppError } from "../../proto/index.ts";
import { readDirectories } from "../directories.ts";
import { oneLine } from "../present/plain-text.ts";
import { sizeText } from "../present/sent-text.ts";
import { isTerminal } from "../present/terminal.ts";
import { applyCommand, savePatchCommand, undoCommand } from "./apply.ts";
import { compareCommand } from "./compare.ts";
import { type CommandContext, localSource, withEachSession, withSession, withSessions } from "./command-context.ts";
import { answerCommand, decideCommand } from "./decide.ts";
import { diffCommand } from "./diff.ts";
import { listCommand } from "./list.ts";
import { logsCommand } from "./logs.ts";
import { notifyCommand } from "./notify.ts";
import { resolveSession } from "../session/resolve-session.ts";
import { addRunFlags, type RunFlags, toRepositoryWish, toRunRequest } from "./run-flags.ts";
import { runCommand } from "./run.ts";
import { showAnswerCommand, showCommand } from "./show.ts";
import { interruptCommand, removeCommand, sendCommand, stopCommand } from "./steer.ts";
import { watchCommand } from "./watch.ts";

const SESSION = "the session's id, or its start or end";
/** With these `apply` makes no branch. */
const NO_BRANCH = ["worktree", "stage", "patch"];
const JSON_TEXT = "print it as JSON";

/** Adds the commands that start sessions, look at them and steer them. */
export function addSessionCommands(program: Command, context: CommandContext): void {
  const { io } = context;
  const stateDirectory = () => readDirectories(io.env).stateDirectory;
  const run = program
    .command("run")
    .description(
      "run one session to its end; where stdout is no terminal it holds the patch alone. Ctrl-C ends the session",
    )
    .argument("<task>", "what Claude is to do");
  addRunFlags(run).action((task: string, flags: RunFlags) =>
    withSessions(context, async (sessions, link) => {
      const { detach = false, json = false, attempts = 1 } = flags;
      const idOf = async (given = "") => (given === "" ? "" : await resolveSession(sessions, given));
      const previousSessionId = await idOf(flags.continue);
      const afterSessionId = await idOf(flags.after);
      const directory = () => Promise.resolve(process.cwd());
      const { signal } = io;
      const source = await localSource(io, link);
      const onSent = link.receiver === undefined ? undefined : sendingLine(io);
      const place = { directory, signal, onSent };
      const {
        spec: repository,
        userFiles,
        note,
      } = await source.find(toRepositoryWish(flags), place).finally(() => onSent?.(0));
      if (note !== undefined) io.stderr.write(`${oneLine(note)}\n`);
      const traceParent = io.env["TRACEPARENT"];
      const found = { previousSessionId, afterSessionId, repository, userFiles, traceParent };
      const request = toRunRequest(task, flags, found);
      return runCommand(sessions, request, { detach, json, attempts }, io);
    }),
  );

  program
    .command("list")
    .alias("ls")
    .description("list sessions, newest first")
    .addOption(new Option("--live", "only those that have not finished").conflicts("finished"))
    .option("--finished", "only those that have finished")
    .option("--parent <name>", "only those of this parent")
    .option("-n, --limit <count>", "how many at most", Number, 20)
    .option("--json", JSON_TEXT)
    .action(({ live, finished, parent, limit, json }: ListFlags) => {
      if (!Number.isInteger(limit) || limit < 1) {
        throw new AppError("LIMIT_INVALID", "The limit must be a number from 1.");
      }
      const options = {
        limit,
        json: json === true,
        ...(live === true && { only: "live" as const }),
        ...(finished === true && { only: "finished" as const }),
        ...(parent !== undefined && { parent }),
      };
      return withSessions(context, (sessions) => listCommand(sessions, options, io));
    });

  program
    .command("show")
    .description("show one session: state, answer, changed files, usage")
    .argument("<session>", SESSION)
    .option("--answer", "Claude's last answer alone, whole")
    .option("--json", JSON_TEXT)
    .action((given: string, { answer = false, json = false }: JsonFlag & { answer?: boolean }) =>
      withSession(context, given, (sessions, id) =>
        (answer ? showAnswerCommand : showCommand)(sessions, id, { json }, io),
      ),
    );

  program
    .command("export")
    .description("write one session into an HTML file to show somebody: what happened, diff, result, cost; no secrets")
    .argument("<session>", SESSION)
    .argument("<file>", "the file to make; it needs nothing else, and runs nothing")
    .action((given: string, file: string) =>
      withSession(context, given, async (sessions, id) => {
        const { exportCommand } = await import("./export.ts");
        return await exportCommand(sessions, { sessionId: id, file }, io);
      }),
    );

  program
    .command("watch")
    .description(
      "watch sessions until they have finished; without any, all that are live or start meanwhile. Ctrl-C leaves them",
    )
    .argument("[session...]", SESSION)
    .option("--json", "print every event, from the first, as one JSON document a line")
    .addOption(
      new Option(
        "--notify",
        "one line when one of them, or of this project, finishes, fails or needs somebody; nothing else, until a signal",
      ).conflicts("json"),
    )
    .action((given: string[], { json = false, notify = false }: JsonFlag & { notify?: boolean }) =>
      withEachSession(context, given, (sessions, ids) =>
        notify
          ? notifyCommand(sessions, ids, { directory: process.cwd() }, io)
          : watchCommand(sessions, ids, { json }, io),
      ),
    );

  program
    .command("logs")
    .description("print what has happened in a session")
    .argument("<session>", SESSION)
    .option("-f, --follow", "go on until it has finished")
    .option("--json", "print every event as one JSON document a line")
    .action((given: string, { follow = false, json = false }: JsonFlag & { follow?: boolean }) =>
      withSession(context, given, (sessions, id) => logsCommand(sessions, id, { follow, json }, io)),
    );

  program
    .command("diff")
    .description("print a session's patch, as it is now or as it was left")
    .argument("<session>", SESSION)
    .option("-f, --force", "also one that is not what the list of changes says (PATCH_MISMATCH): not to be applied")
    .option("--json", "print the changed files as JSON")
    .action((given: string, { json = false, force = false }: JsonFlag & { force?: boolean }) =>
      withSession(context, given, (sessions, id) => diffCommand(sessions, id, { json, force }, io)),
    );

  program
    .command("apply")
    .description(
      "take a session's result into the repository one is in: as a branch of its own, and nothing else touched",
    )
    .argument("<session>", SESSION)
    .argument("[path...]", "only what it has changed at or below these")
    .addOption(
      new Option("-w, --worktree", "merge it into the files instead, all of it or nothing").conflicts("branch"),
    )
    .addOption(
      new Option("--stage", "into the files, and stage it too").conflicts("branch").implies({ worktree: true }),
    )
    .option("-b, --branch <name>", "the branch's name. Default: claude/<words of the task>-<end of the id>")
    .addOption(
      new Option("--patch <file>", "write the patch to a new file, and do nothing else").conflicts([
        "worktree",
        "stage",
        "branch",
      ]),
    )
    .addOption(
      new Option(
        "-c, --commits",
        "as the commits that Claude made, with a branch for each stash, other branch and worktree; default: one commit",
      ).conflicts([...NO_BRANCH, "ref"]),
    )
    .addOption(
      new Option("--ref <name>", "a branch for that stash, branch or worktree of Claude's, and nothing else").conflicts(
        [...NO_BRANCH, "push", "pr"],
      ),
    )
    .addOption(
      new Option("--push <remote>", "push the branch to a remote of the repository, without hooks").conflicts(
        NO_BRANCH,
      ),
    )
    .addOption(
      new Option(
        "--pr",
        "make a draft of a pull request for it, by gh; pushes to origin unless --push says otherwise",
      ).conflicts(NO_BRANCH),
    )
    .option("-n, --dry-run", "say what would be done, and which conflicts there are")
    .option("--json", JSON_TEXT)
    .action((given: string, paths: string[], flags: ApplyFlags) =>
      withSession(context, given, (sessions, sessionId) => {
        const {
          worktree = false,
          stage = false,
          branch,
          patch: file,
          dryRun = false,
          json = false,
          pr: pullRequest = false,
          commits = false,
          ref,
        } = flags;
        if (file !== undefined)
          return savePatchCommand(sessions, { sessionId, file, stateDirectory: stateDirectory() }, io);
        const as = worktree ? "worktree" : "branch";
        const push = flags.push ?? (pullRequest ? "origin" : undefined);
        const place = { sessionId, directory: process.cwd() };
        const request = { ...place, as, branch, stage, commits, ref, paths, dryRun, push, pullRequest } as const;
        return applyCommand(sessions, request, { json, stateDirectory: stateDirectory() }, io);
      }),
    );

  program
    .command("undo")
    .description("take back the last apply to the repository one is in: files, index and branches are as before")
    .argument("[session]", SESSION)
    .option("--json", JSON_TEXT)
    .action((given: string | undefined, { json = false }: JsonFlag) =>
      withSessions(context, async (sessions) => {
        // What was applied is known here, also without a host.
        const sessionId = given === undefined ? undefined : await resolveSession(sessions, given);
        const request = { sessionId, directory: process.cwd(), json, stateDirectory: stateDirectory() };
        return undoCommand(sessions, request, io);
      }),
    );

  program
    .command("compare")
    .description(
      "show what sessions have changed side by side: the same files, predicted conflicts, in which order to take them",
    )
    .argument("<session...>", SESSION)
    .option("--json", JSON_TEXT)
    .action((given: string[], { json = false }: JsonFlag) =>
      withEachSession(context, given, (sessions, sessionIds) =>
        compareCommand(
          sessions,
          { sessionIds, directory: process.cwd() },
          { json, stateDirectory: stateDirectory() },
          io,
        ),
      ),
    );

  program
    .command("send")
    .description("give a live session's Claude another message, after the running turn")
    .argument("<session>", SESSION)
    .argument("<message>", "what to say")
    .action((given: string, text: string) =>
      withSession(context, given, (sessions, id) => sendCommand(sessions, id, text, io)),
    );

  for (const [verb, allow] of [
    ["allow", true],
    ["deny", false],
  ] as const) {
    const command = program
      .command(verb)
      .description(`${allow ? "give" : "deny"} the permission that a session's Claude waits for`)
      .argument("<session>", SESSION)
      .option("--request <id>", "which, if it waits for several");
    if (!allow) command.option("--message <text>", "what Claude is told");
    command.action((given: string, options: { request?: string; message?: string }) =>
      withSession(context, given, (sessions, id) => decideCommand(sessions, id, { allow, ...options })),
    );
  }

  program
    .command("answer")
    .description("answer what a session's Claude asks")
    .argument("<session>", SESSION)
    .argument("<answer...>", 'one for each question: an option or words of your own; several choices as "a|b"')
    .option("--request <id>", "which, if it waits for several")
    .action((given: string, answers: string[], options: { request?: string }) =>
      withSession(context, given, (sessions, id) => answerCommand(sessions, id, answers, options)),
    );

  program
    .command("interrupt")
    .description("end the running turn of a session")
    .argument("<session>", SESSION)
    .action((given: string) => withSession(context, given, (sessions, id) => interruptCommand(sessions, id, io)));

  program
    .command("stop")
    .description("end sessions; what they have changed is kept")
    .argument("<session...>", SESSION)
    .option("--reason <text>", "why, for the record", "Stopped on the command line.")
    .option("--no-wait", "return at once")
    .action((given: string[], options: { reason: string; wait: boolean }) =>
      withEachSession(context, given, (sessions, ids) => stopCommand(sessions, ids, options, io)),
    );

  program
    .command("remove")
    .alias("rm")
    .description("remove what is stored of finished sessions")
    .argument("<session...>", SESSION)
    .option("-f, --force", "end those that are live first")
    .option("--discard", "also those with changes that nobody has applied or saved")
    .action((given: string[], { force = false, discard = false }: { force?: boolean; discard?: boolean }) =>
      withEachSession(context, given, (sessions, ids) => removeCommand(sessions, ids, { force, discard }, io)),
    );
}

/** Shows on a terminal how much of a repository a host elsewhere has; 0 takes that away. Undefined: it is no terminal. */
function sendingLine({ stderr, env }: CommandContext["io"]): ((bytes: number) => void) | undefined {
  if (!isTerminal(stderr, env)) return undefined;
  return (bytes) => stderr.write(`\u001b[2K${bytes === 0 ? "" : `sending to the host: ${sizeText(bytes)}`}\r`);
}

interface ApplyFlags extends JsonFlag {
  worktree?: boolean;
  stage?: boolean;
  branch?: string;
  patch?: string;
  push?: string;
  pr?: boolean;
  commits?: boolean;
  ref?: string;
  dryRun?: boolean;
}

interface JsonFlag {
  json?: boolean;
}

interface ListFlags extends JsonFlag {
  live?: boolean;
  finished?: boolean;
  parent?: string;
  limit: number;
}
