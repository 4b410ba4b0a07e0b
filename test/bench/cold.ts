import { setTimeout as delay } from "node:timers/promises";
import { HostLink } from "../../host/daemon/host-link.ts";
import { dockerGateway } from "../support/docker.ts";
import type { TestDirectories } from "../support/host-directories.ts";
import { type Rig, startRig } from "../support/rig.ts";
import { plainSession, sealedRun } from "./docker-run.ts";
import type { Figures } from "./figures.ts";
import { inTurn, type Part } from "./part.ts";
import { measureSession, SHORT_TASK } from "./sessions.ts";

/** What a task takes, in ms. */
interface TaskTimes {
  /** To the agent's first answer. Undefined: there is no agent. */
  toAgent?: number;
  toFirstRequest: number;
  /** From the first request to the result. */
  work: number;
  whole: number;
  /** Phase by phase, as a session reports them. */
  phases?: Record<string, number>;
}

/** Does a task, in one of the ways that are compared. */
type Way = (task: string) => Promise<TaskTimes>;

/**
 * Sessions, each in the way that its column is named for, against what one would do by hand: `docker run` of the image, a clone and
 * `claude -p` in it. All columns in turn, in each round.
 */
export const cold: Part = async ({ image, rounds, longRounds, longSeconds, figures, say }) => {
  await using rig = await startRig({ listen: await dockerGateway() });
  await using warmRig = await startRig({ listen: await dockerGateway(), config: { warm: 1 } });
  const hand = byHand(rig, image);
  const columns: Record<string, Way> = { cold: inSession(rig), warm: await inPrepared(warmRig, figures) };
  const longTask = `[scenario: long-run seconds=${longSeconds} steps=30]`;

  /** Measures all ways in turn, and beside them what has no task. */
  const measure = async (round: number, task: string, others: Record<string, () => Promise<number>>) => {
    const times = new Map<string, TaskTimes>();
    const measures = Object.entries({ hand, ...columns }).map(([name, way]) => {
      const timed = async () => {
        const took = await way(task);
        times.set(name, took);
        return took.whole;
      };
      return [name, timed] as const;
    });
    const took = await inTurn(round, { ...others, ...Object.fromEntries(measures) });
    return {
      took,
      byHand: times.get("hand")!,
      sessions: Object.keys(columns).map((name) => [name, times.get(name)!] as const),
    };
  };

  say("warming up");
  await measure(0, SHORT_TASK, { run: () => sealedRun(image) });
  for (let round = 1; round <= rounds; round++) {
    say(`short tasks ${round} of ${rounds}`);
    const { took, byHand, sessions } = await measure(round, SHORT_TASK, { run: () => sealedRun(image) });
    figures.add("docker run --rm … true", took["run"]!);
    figures.add("by hand: docker run → first model request", byHand.toFirstRequest);
    figures.add("by hand: short task", byHand.whole);
    for (const [name, { toAgent = NaN, toFirstRequest, whole, phases = {} }] of sessions) {
      figures.add(`${name}: call → agent answers`, toAgent);
      figures.add(`${name}: call → first model request`, toFirstRequest);
      figures.add(`${name}: short task`, whole);
      for (const [phase, ms] of Object.entries(phases)) figures.add(`${name}: phase ${phase}`, ms);
      figures.addRatio(`${name}: call → agent answers / docker run`, toAgent, took["run"]!);
      figures.addRatio(`${name}: call → first model request / by hand`, toFirstRequest, byHand.toFirstRequest);
      figures.addRatio(`${name}: short task / by hand`, whole, byHand.whole);
    }
  }
  for (let round = 1; round <= longRounds; round++) {
    say(`tasks of ${longSeconds} s ${round} of ${longRounds}`);
    const { byHand, sessions } = await measure(round, longTask, {});
    const what = `${longSeconds} s task, first model request → result`;
    figures.add(`by hand: ${what}`, byHand.work);
    for (const [name, { work }] of sessions) {
      figures.add(`${name}: ${what}`, work);
      figures.addRatio(`${name}: ${what} / by hand`, work, byHand.work);
    }
  }
};

/** A session of the real server, in a container that is made for it. */
function inSession(rig: Rig): Way {
  return (task) => withFirstRequest(rig, () => measureSession(rig, task));
}

/** The same in a container that was prepared; the next one is there before anything else is measured. */
async function inPrepared(rig: Rig, figures: Figures): Promise<Way> {
  const session = inSession(rig);
  const ready = () => preparedBytes(rig.mcp.place);
  await session(SHORT_TASK);
  await ready();
  return async (task) => {
    const took = await session(task);
    figures.add("warm: memory of an idle pool", (await ready()) / 1024 ** 2, "MiB");
    return took;
  };
}

/** Waits until a container is prepared, and returns the memory that it uses. */
async function preparedBytes({ directories, env }: TestDirectories): Promise<number> {
  using link = new HostLink({ directories, env });
  for (;;) {
    const { readyCount = 0, memoryBytes = 0n } = (await link.find())?.warmPool ?? {};
    if (readyCount > 0) return Number(memoryBytes);
    await delay(100);
  }
}

function byHand(rig: Rig, image: string): Way {
  const { key, repository, model } = rig;
  return async (task) => {
    const took = await withFirstRequest(rig, () => plainSession({ image, task, key, repository, modelUrl: model.url }));
    return { ...took, work: took.toResult - took.toFirstRequest };
  };
}

/** Adds when the model was asked first, by the model's clock. */
async function withFirstRequest<T extends object>(
  { model }: Rig,
  work: () => Promise<T>,
): Promise<T & { toFirstRequest: number }> {
  const startMs = Date.now();
  const took = await work();
  const first = model.requests.find(({ receivedAt }) => receivedAt.getTime() >= startMs);
  if (first === undefined) throw new Error("Claude sent no request.");
  return { ...took, toFirstRequest: first.receivedAt.getTime() - startMs };
}
