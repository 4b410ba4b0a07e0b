import { create } from "@bufbuild/protobuf";
import { EventEmitter, once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { readPatch } from "../../host/present/read-session.ts";
import { readHostId } from "../../host/host-id.ts";
import { DockerRuntime } from "../../host/runtime/docker/docker-runtime.ts";
import { ContainerSpecSchema, RepositorySpecSchema, type SessionEvent, SessionSpecSchema } from "../../proto/index.ts";
import { applyPatch } from "../support/apply-patch.ts";
import { startHostRig } from "../support/rig.ts";
import { checkSession } from "./check-session.ts";
import { kill, type KillKind, REASONS } from "./kills.ts";
import { leftovers } from "./leftovers.ts";
import { observeAgent, type Observer } from "./observer.ts";
import { SeededRandom } from "./random.ts";
import { type SecondEngine, newerPrograms, startSecondEngine } from "./second-engine.ts";
import { readStoredLog } from "./stored-log.ts";
import { eachEvent } from "../support/each-event.ts";

const IMAGE = process.env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest";
const SESSION_MS = 300_000;
const TAKEN = "A prepared container was taken";
/** Two looks of the sweep, and some. */
const CLEAN_UP_MS = 90_000;
const EXIT_MS = 10_000;
const NEEDS_CONTAINER = new Set<KillKind>(["bridge", "agent", "container", "remove", "pause", "long-pause"]);

export const OWN_ENGINES = ["live", "plain", "newer"] as const;
export type OwnEngine = (typeof OWN_ENGINES)[number];

export interface CrashOptions {
  seed: number;
  /** How many kills that hit something. */
  kills: number;
  /** Sessions at a time. */
  concurrent: number;
  /** Picked from at random; the more often it is there the more often it is done. */
  kinds: readonly KillKind[];
  /** "live" and "plain": an engine of our own, with and without live-restore; "newer": a newer one, with. Default: the machine's. */
  engine?: OwnEngine;
  task?: string;
  say?: (line: string) => void;
}

export interface CrashReport {
  kills: Partial<Record<KillKind, number>>;
  sessions: number;
  succeeded: number;
  /** Sessions that took a container that had been prepared. */
  taken: number;
  events: number;
  /** Everything that was not as it must be. */
  wrong: string[];
}

interface Running {
  id: string;
  containerId: string | undefined;
  /** The agent has answered. */
  started: boolean;
  observer: Observer | undefined;
  lethal: { what: string; reasons: readonly string[] }[];
}

/** Runs real sessions while their host, bridges, agents, containers and engine are killed, and checks each of them. */
export async function runCrashes(options: CrashOptions): Promise<CrashReport> {
  const { kills, concurrent, kinds, say = () => {}, task = "[scenario: long-run seconds=8 steps=8]" } = options;
  const random = new SeededRandom(options.seed);
  await using stack = new AsyncDisposableStack();
  let engine: SecondEngine | undefined;
  if (options.engine !== undefined) {
    say("starting an engine of our own");
    const programs = options.engine === "newer" ? { programs: await newerPrograms() } : {};
    const liveRestore = options.engine !== "plain";
    engine = stack.use(await startSecondEngine({ images: [IMAGE], liveRestore, ...programs }));
  }
  const rig = stack.use(
    await startHostRig({
      // With room for one that is prepared.
      config: { max_running: concurrent + 1, image: IMAGE, warm: 1 },
      ...(engine !== undefined && { env: { DOCKER_HOST: engine.address } }),
    }),
  );
  const { link, sessions, git, repository: uri } = rig;
  const { directories } = rig.place;
  await link.connect();
  const hostId = readHostId(directories.stateDirectory);
  const runtime = stack.use(
    new DockerRuntime({
      hostId,
      ...(engine !== undefined && { address: { kind: "socket", path: engine.address.slice("unix://".length) } }),
    }),
  );

  const report: CrashReport = { kills: {}, sessions: 0, succeeded: 0, taken: 0, events: 0, wrong: [] };
  const running = new Set<Running>();
  /** Containers that were killed before a session was known to have them. */
  const killedEarly = new Set<string>();
  const created = new EventEmitter();

  async function runSession(): Promise<{ events: SessionEvent[]; running: Running }> {
    const { id } = await sessions.create({
      spec: create(SessionSpecSchema, { task, repository: create(RepositorySpecSchema, { uri }) }),
      container: create(ContainerSpecSchema),
    });
    created.emit("session");
    const known: Running = { id, containerId: undefined, started: false, observer: undefined, lethal: [] };
    running.add(known);
    const events: SessionEvent[] = [];
    try {
      for await (const event of eachEvent(
        sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(SESSION_MS) }),
      )) {
        events.push(event);
        if (event.event.case === "connectionMade") known.started = true;
        if (event.event.case === "containerProgress" && event.event.value.containerId !== "") {
          known.containerId = event.event.value.containerId;
          if (killedEarly.has(known.containerId)) known.lethal.push({ what: "pooled", reasons: REASONS.pooled });
          known.observer = await observe(known);
        }
      }
    } finally {
      running.delete(known);
      await known.observer?.[Symbol.asyncDispose]();
    }
    return { events, running: known };
  }

  async function observe({ containerId }: Running): Promise<Observer | undefined> {
    const ref = { version: 1 as const, runtime: "docker", id: containerId! };
    for (let tries = 0; tries < 100; tries++, await delay(100)) {
      try {
        const container = await runtime.adopt(ref, { signal: AbortSignal.timeout(10_000) });
        return container === undefined ? undefined : observeAgent(container);
      } catch {
        // The engine is being killed.
      }
    }
    return undefined;
  }

  async function check(expectedFiles: Record<string, string>): Promise<void> {
    const { events, running: known } = await runSession();
    const session = await sessions.get(known.id);
    const patch = await readPatch(sessions, known.id);
    report.sessions += 1;
    report.events += events.length;
    if (events.some(({ event }) => event.case === "containerProgress" && event.value.message.startsWith(TAKEN))) {
      report.taken += 1;
    }
    if (session.result?.outcome.case === "success") report.succeeded += 1;
    const wrong = await checkSession({
      session,
      watched: events,
      stored: readStoredLog(directories.stateDirectory, known.id),
      observed: known.observer?.events ?? new Map(),
      patch,
      bareRepository: git.directoryOf("greeter"),
      expectedFiles,
      lethal: known.lethal,
    });
    for (const line of wrong) say(`WRONG ${line}`);
    report.wrong.push(...wrong);
  }

  async function killSomething(): Promise<void> {
    await delay(random.between(200, 3_000));
    const kind = random.pick(kinds);
    // A container that is paused while it starts can get stuck in old engines.
    const pauses = kind === "pause" || kind === "long-pause";
    const targets = [...running].filter(
      ({ containerId, started }) => containerId !== undefined && (started || !pauses),
    );
    const target = targets.length > 0 ? random.pick(targets) : undefined;
    if (NEEDS_CONTAINER.has(kind) && target === undefined) return;
    const pooled = kind === "pooled" ? await unusedContainer() : undefined;
    if (kind === "pooled" && pooled === undefined) return;
    if (pooled !== undefined) killedEarly.add(pooled);
    if (kind === "claim") {
      await Promise.race([once(created, "session"), delay(10_000, undefined, { ref: false })]);
      await delay(random.between(0, 150));
    }
    const lethalEngine = kind === "engine" && options.engine === "plain";
    const ended = REASONS[kind];
    const reasons = lethalEngine
      ? ["RUNTIME_RESTARTED", "CONTAINER_KILLED", "CONTAINER_EXITED"]
      : // What ended while the engine was away is told so: what ended it cannot be known.
        ended.length > 0 && kinds.includes("engine")
        ? [...ended, "RUNTIME_RESTARTED"]
        : ended;
    const note = { what: kind, reasons };
    const hit = lethalEngine ? targets : NEEDS_CONTAINER.has(kind) ? [target!] : [];
    // Noted first: it may show before the kill returns.
    if (reasons.length > 0) for (const one of hit) one.lethal.push(note);
    const hostPid = async () => (await link.find().catch(() => undefined))?.processId;
    const done = await kill(kind, pooled ?? target?.containerId, {
      engineAddress: engine?.address,
      engine,
      hostPid,
      random,
    });
    if (!done) {
      for (const one of hit) one.lethal = one.lethal.filter((known) => known !== note);
      return;
    }
    report.kills[kind] = (report.kills[kind] ?? 0) + 1;
    say(`${killCount()} of ${kills}: ${kind}${target !== undefined && hit.includes(target) ? ` of ${target.id}` : ""}`);
    if (kind === "host" || kind === "claim") {
      await delay(random.between(0, 2_000));
      await link.connect();
    }
  }
  /** A container that no session is known to have. */
  async function unusedContainer(): Promise<string | undefined> {
    const listed = await runtime.list({ signal: AbortSignal.timeout(10_000) }).catch(() => []);
    const used = new Set([...running].map(({ containerId }) => containerId));
    return listed.find(({ ref, endTimeMs }) => endTimeMs === undefined && !used.has(ref.id))?.ref.id;
  }
  const killCount = () => Object.values(report.kills).reduce((sum, count) => sum + count, 0);

  say("one session undisturbed");
  const calm = await runSession();
  const expectedFiles = await applyPatch(git.directoryOf("greeter"), await readPatch(sessions, calm.running.id));
  say(`it made ${calm.events.length} events and ${Object.keys(expectedFiles).length} files`);
  const endMs = Date.now() + kills * 100_000;
  const goesOn = () => killCount() < kills && Date.now() < endMs;
  const workers = Array.from({ length: concurrent }, async () => {
    while (goesOn()) await check(expectedFiles);
  });
  const killer = (async () => {
    while (goesOn()) await killSomething();
  })();
  await Promise.all([killer, ...workers]);
  if (killCount() < kills) report.wrong.push(`only ${killCount()} of ${kills} kills in time`);

  await link.connect();
  const host = { engineAddress: engine?.address, hostId, ...directories };
  // What is prepared for the next session may stay until the host ends.
  const containers = async () => {
    const { readyCount = 0, makingCount = 0 } = (await link.find())?.warmPool ?? {};
    return (await leftovers(host)).filter((line) => line.startsWith("container")).slice(readyCount + makingCount);
  };
  for (const line of await untilNone(containers, CLEAN_UP_MS)) report.wrong.push(`not removed: ${line}`);
  await link.stopHost({ onlyWithoutLiveSessions: true });
  await link.gone();
  // A host lets go of its directories before its process has ended.
  for (const line of await untilNone(() => leftovers(host), EXIT_MS)) report.wrong.push(`left behind: ${line}`);
  return report;
}

/** Looks until there is nothing, or for so long; returns what there is then. */
async function untilNone(look: () => Promise<string[]>, waitMs: number): Promise<string[]> {
  for (const lastMs = Date.now() + waitMs; ; await delay(500)) {
    const found = await look();
    if (found.length === 0 || Date.now() > lastMs) return found;
  }
}
