import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { ContainerSpecSchema, RepositorySpecSchema, Session_State, SessionSpecSchema } from "../../proto/index.ts";
import { readHostId } from "../../host/host-id.ts";
import { SeededRandom } from "../crash/random.ts";
import { docker } from "../support/docker.ts";
import { runningProcesses } from "../support/processes.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";
import { Child } from "./child.ts";
import { eachEvent } from "../support/each-event.ts";

export interface BusyMachineOptions {
  /** Processes that do nothing but compute. */
  busyCount: number;
  /** Sessions at a time. */
  concurrent: number;
  /** No session is begun after so long. */
  seconds: number;
  /** What the sessions do, and for how long. */
  seed: number;
  /** Seconds that a session's model answers take, at least and at most. */
  answerSeconds: readonly [number, number];
  /** How often a container's processes, the way to its agent included, get no processor at all, and for how many seconds. */
  starve?: { everySeconds: number; seconds: readonly [number, number] };
  /** Told of what goes wrong, as it does. */
  say?: (line: string) => void;
  /** Ends it early, with its reason. */
  signal?: AbortSignal;
}

/** What a run on a busy machine saw. */
export interface BusyMachineFigures {
  sessions: number;
  /** How often a container got no processor. */
  starved: number;
  /** One line for each session that did not succeed. */
  failures: string[];
  connectionsLost: number;
  /** Model requests beyond those that the tasks take: each is an answer that was cut. */
  answersCut: number;
  /** Time from a session's creation to Claude's first model request, the longest. */
  longestStartSeconds: number;
}

/**
 * Real sessions, one after the other in each place, while other processes want the processors. However it ends, nothing is
 * left of the host and its sessions.
 */
export async function runOnBusyMachine(options: BusyMachineOptions): Promise<BusyMachineFigures> {
  await using stack = new AsyncDisposableStack();
  let removeAll = async () => {};
  // Comes last, whatever the rig's own end has come to.
  stack.defer(() => removeAll());
  const rig = stack.use(await startHostRig());
  const { stateDirectory } = rig.place.directories;
  const hostId = readHostId(stateDirectory);
  removeAll = () => removeHost({ stateDirectory, hostId });
  await rig.link.connect();
  for (let count = 0; count < options.busyCount; count++) stack.use(new Child("./busy-process.ts"));
  const random = new SeededRandom(options.seed);
  const figures: BusyMachineFigures = {
    sessions: 0,
    starved: 0,
    failures: [],
    connectionsLost: 0,
    answersCut: 0,
    longestStartSeconds: 0,
  };
  const endMs = Date.now() + options.seconds * 1000;
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const place = async () => {
    do await runOne(rig, taskOf(random, options.answerSeconds), { figures, say: options.say, signal });
    while (Date.now() < endMs);
  };
  const starving = new AbortController();
  // The last ones would get all of it.
  const enough = setTimeout(() => starving.abort(), options.seconds * 1000);
  const starved =
    options.starve === undefined
      ? undefined
      : starve(options.starve, { random, figures, signal: AbortSignal.any([signal, starving.signal]), hostId });
  // Its failure matters once the sessions have ended.
  starved?.catch(() => {});
  try {
    await Promise.all(Array.from({ length: options.concurrent }, place));
  } finally {
    over.abort();
    clearTimeout(enough);
    // A container that gets no processor could not be ended.
    await starved;
  }
  return figures;
}

/** Ends a host that has not ended by itself, and removes its containers and its directories. */
async function removeHost({ stateDirectory, hostId }: { stateDirectory: string; hostId: string }): Promise<void> {
  for (const { pid } of runningProcesses().filter(({ environment }) =>
    environment.includes(`CLAUDECLUSTER_STATE_DIR=${stateDirectory}`),
  ))
    signalTo(pid, "SIGKILL");
  const ids = await docker("ps", "--all", "--quiet", "--filter", `label=dev.claudecluster.host=${hostId}`);
  if (ids !== "") await docker("rm", "--force", ...ids.split("\n"));
  await rm(dirname(stateDirectory), { recursive: true, force: true });
}

/** Stops the processes of one container after the other, as a machine does that has none of its processors for them. */
async function starve(
  { everySeconds, seconds: [least, most] }: NonNullable<BusyMachineOptions["starve"]>,
  {
    random,
    figures,
    signal,
    hostId,
  }: { random: SeededRandom; figures: BusyMachineFigures; signal: AbortSignal; hostId: string },
): Promise<void> {
  const rest = (seconds: number) => sleep(seconds * 1000, undefined, { signal }).catch(() => {});
  while (!signal.aborted) {
    await rest(everySeconds);
    const containers = (await docker("ps", "--quiet", "--filter", `label=dev.claudecluster.host=${hostId}`)).split(
      "\n",
    );
    const id = random.pick(containers);
    const seconds = random.between(least, most);
    // One that has ended meanwhile has no processes.
    const pids = id === "" ? [] : await docker("top", id, "-eo", "pid").then(pidsIn, () => []);
    if (pids.length === 0) continue;
    figures.starved++;
    try {
      for (const pid of pids) signalTo(pid, "SIGSTOP");
      await rest(seconds);
    } finally {
      for (const pid of pids) signalTo(pid, "SIGCONT");
    }
  }
}

function pidsIn(top: string): number[] {
  return top.split("\n").slice(1).map(Number);
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

interface Task {
  text: string;
  scenario: string;
  /** Model requests that it takes. */
  requestCount: number;
}

/** One long answer, or several with tools between them. */
function taskOf(random: SeededRandom, [least, most]: readonly [number, number]): Task {
  const seconds = Math.round(random.between(least, most));
  return random.next() < 0.5
    ? { text: `[scenario: slow-stream seconds=${seconds}]`, scenario: "slow-stream", requestCount: 1 }
    : { text: `[scenario: long-run seconds=${seconds} steps=4]`, scenario: "long-run", requestCount: 5 };
}

async function runOne(
  { link, model, repository: uri }: HostRig,
  { text, scenario, requestCount }: Task,
  {
    figures,
    say = () => {},
    signal,
  }: { figures: BusyMachineFigures; say: ((line: string) => void) | undefined; signal: AbortSignal },
): Promise<void> {
  const repository = create(RepositorySpecSchema, { uri });
  const startMs = Date.now();
  const { id } = await link.sessions.create({
    spec: create(SessionSpecSchema, { task: text, repository }),
    container: create(ContainerSpecSchema),
  });
  const watching = AbortSignal.any([signal, AbortSignal.timeout(1_800_000)]);
  for await (const { event } of eachEvent(link.sessions.watch(id, { afterSequence: 0, signal: watching }))) {
    if (event.case === "connectionLost") {
      figures.connectionsLost++;
      say(`${id}: connection lost: ${event.value.reason}`);
    }
    if (event.case === "turnStarted") {
      figures.longestStartSeconds = Math.max(figures.longestStartSeconds, (Date.now() - startMs) / 1000);
    }
    if (event.case === "sessionFinished") break;
  }
  signal.throwIfAborted();
  const { state, result } = await link.sessions.get(id);
  figures.sessions++;
  if (state !== Session_State.SUCCEEDED) {
    figures.failures.push(`${id}: ${JSON.stringify(result?.outcome.value)}`);
    say(figures.failures.at(-1)!);
    return;
  }
  const asked = model.requests.filter(
    ({ headers, scenario: played }) =>
      played === scenario && headers["x-claude-code-session-id"] === result!.conversationId,
  );
  if (asked.length > requestCount) say(`${id}: ${asked.length} model requests instead of ${requestCount}`);
  figures.answersCut += Math.max(0, asked.length - requestCount);
}
