import { AttachStart_Role as Role, Phase, type Session } from "../../proto/index.ts";
import type { Attached, Bench } from "./bench.ts";
import type { EventReader } from "./event-reader.ts";

/**
 * One session with three turns, several readers, and everything said that is to be refused. Many
 * rules can be read off what it left behind.
 */
export interface Tour {
  /** As StartSession answered. */
  readonly started: Session;
  readonly owner: Attached;
  readonly controller: Attached;
  readonly observer: Attached;
  readonly watcher: EventReader;
}

/** Runs the tour to its end. Nothing is acknowledged, so that everything can still be read. */
export async function runTour(bench: Bench): Promise<Tour> {
  const started = await bench.start("[scenario: write-files count=3] First.");
  const owner = bench.attach();
  const controller = bench.attach({ role: Role.CONTROLLER });
  const observer = bench.attach({ role: Role.OBSERVER });
  const watcher = bench.watch();
  for (const reader of [owner, controller, observer, watcher]) {
    await reader.until("a message", () => reader.first);
  }
  // Nobody serves the model yet: Claude stays in its first turn, with its first request.
  observer.send({ case: "interrupt", value: {} });
  observer.send({ case: "stop", value: { reason: "an observer" } });
  observer.send({ case: "userMessage", value: { text: "an observer's" } });
  controller.send({ case: "acknowledge", value: { sequence: 1 } });
  controller.send({ case: "attach", value: { role: Role.OWNER } });
  controller.send({ case: "userMessage", value: { text: " " } });
  await observer.until("three refusals", () => observer.refusals[2]);
  await controller.until("three refusals", () => controller.refusals[2]);
  await owner.event("phaseChanged", ({ phase }) => phase === Phase.WORK);
  const say = (text: string, messageId: string) => controller.send({ case: "userMessage", value: { text, messageId } });
  say("[scenario: huge-edit bytes=400000 line=1000] Second.", "m2");
  say("[scenario: write-files prefix=wrong] Not again.", "m2");
  say("[scenario: small-edit] Third.", "m3");
  // What is queued is seen to be queued: only then does Claude get its first answer.
  await controller.heard();
  bench.serve();
  await Promise.all([owner.done, controller.done, observer.done, watcher.done]);
  return { started, owner, controller, observer, watcher };
}
