import type { Scenario } from "./scenario.ts";
import { apiError } from "./scenarios/api-error.ts";
import { backgroundTask } from "./scenarios/background-task.ts";
import { askQuestion, callTools, spawnChild } from "./scenarios/call-tools.ts";
import { crash, hang, silentExit } from "./scenarios/endings.ts";
import { envProbe } from "./scenarios/env-probe.ts";
import { failingCommand } from "./scenarios/failing-command.ts";
import { hugeEdit, longAnswer, outputFlood } from "./scenarios/large-output.ts";
import { longRun } from "./scenarios/long-run.ts";
import { multiFileChange } from "./scenarios/multi-file-change.ts";
import { invalidUtf8 } from "./scenarios/odd-bytes.ts";
import { slowStream } from "./scenarios/slow-stream.ts";
import { smallEdit } from "./scenarios/small-edit.ts";
import { quietEnd, stopReason, twoBlocks } from "./scenarios/stop-reason.ts";
import { writeFiles } from "./scenarios/write-files.ts";

/** The scenarios every scripted model knows. */
export const CATALOG: readonly Scenario[] = [
  smallEdit,
  multiFileChange,
  failingCommand,
  writeFiles,
  longRun,
  slowStream,
  backgroundTask,
  callTools,
  spawnChild,
  askQuestion,
  apiError,
  stopReason,
  quietEnd,
  twoBlocks,
  hang,
  crash,
  silentExit,
  hugeEdit,
  longAnswer,
  outputFlood,
  invalidUtf8,
  envProbe,
];
