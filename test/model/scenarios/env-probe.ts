import { MarkerError } from "../marker.ts";
import { bash, call, defineScenario, say, shellQuote } from "../scenario.ts";

const OWN_PROCESSES = "for d in /proc/$$ /proc/${CLAUDE_PID:-$PPID}";
const ALL_PROCESSES = "for d in /proc/[0-9]*";
const COMMAND_LINE = String.raw`printf '%s: ' "$d"; tr '\0' ' ' < "$d/cmdline"; echo`;
const ENVIRONMENT = String.raw`echo "== $d/environ"; tr '\0' '\n' < "$d/environ"`;

/**
 * Looks wherever a key could be seen. What it finds is in the tool results, and in the file `into` when one is named.
 * By default it stays with Claude Code and its shell, so that it can run on a machine with other things to hide.
 */
export const envProbe = defineScenario({
  name: "env-probe",
  summary:
    "Bash prints the environment, command lines and environments of processes (processes=own: Claude Code and its shell; all: every one), the network, and the files named in `files` (comma-separated globs).",
  parameters: { processes: "own", files: "~/.claude.json,~/.claude/*.json,/proc/self/mounts", into: "" },
  steps: ({ processes, files, into }) => {
    if (processes !== "own" && processes !== "all")
      throw new MarkerError(`Parameter "processes" of scenario "env-probe" is "${processes}". It takes own or all.`);
    const loop = processes === "all" ? ALL_PROCESSES : OWN_PROCESSES;
    const probe = (title: string, command: string): readonly [string, unknown] =>
      bash(
        into === "" ? `{ ${command}; } 2>&1` : `{ echo '# ${title}'; ${command}; } 2>&1 | tee -a ${shellQuote(into)}`,
        title,
      );
    return [
      call("I'll look at my environment.", probe("Environment", "env | sort; id")),
      call(
        "At the processes.",
        probe("Command lines", `${loop}; do ${COMMAND_LINE}; done`),
        probe("Environments of processes", `${loop}; do ${ENVIRONMENT}; done`),
      ),
      call("At the network.", probe("Network", "cat /proc/net/dev /proc/net/route /etc/resolv.conf")),
      call(
        "At files.",
        probe(
          "Files",
          `for f in ${files.split(",").join(" ")}; do echo "== $f"; [ -f "$f" ] && head -c 20000 "$f"; done`,
        ),
      ),
      say("I have looked at everything I was asked to."),
    ];
  },
});
