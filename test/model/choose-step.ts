import { createHash } from "node:crypto";
import { readPrompts, readWorkingDirectory, type Prompt } from "./conversation.ts";
import { MarkerError } from "./marker.ts";
import type { MessagesRequest } from "./messages-request.ts";
import { say, type Scenario, type Step, type Turn } from "./scenario.ts";
import { sideAnswer } from "./side-request.ts";

/** The step that answers a request, and a name for its place that is the same for every retry of the request. */
export interface ChosenStep {
  readonly scenario: string;
  readonly step: Step;
  readonly place: string;
}

interface Segment {
  readonly scenario: Scenario;
  readonly prompt: Prompt;
  readonly steps: readonly Step[];
}

/** Name of the scenario that is played when nobody has named one. */
const DEFAULT_SCENARIO = "small-edit";

/**
 * Finds scenario and step from the request alone. A person's message with a marker begins that scenario; one
 * without begins the default scenario if nothing is left to play, otherwise what is being played goes on.
 * Throws MarkerError for an unknown scenario or parameter.
 */
export function chooseStep(request: MessagesRequest, scenarios: ReadonlyMap<string, Scenario>): ChosenStep {
  const prompts = readPrompts(request.messages);
  const [first] = prompts;
  if (request.tools.length === 0 || first === undefined) {
    return { scenario: "side request", step: say(sideAnswer(request)), place: "side" };
  }
  const workingDirectory = readWorkingDirectory(request);
  const tools = request.tools.map((tool) => tool.name);
  const earlierResults: string[] = [];
  let segment: Segment | undefined;
  for (const prompt of prompts) {
    if (segment !== undefined && prompt.marker === undefined && segment.prompt.answers < segment.steps.length) {
      const merged = {
        ...segment.prompt,
        answers: segment.prompt.answers + prompt.answers,
        calls: [...segment.prompt.calls, ...prompt.calls],
      };
      segment = plan(merged, segment.scenario);
    } else {
      earlierResults.push(...(segment?.prompt.calls ?? []).map((call) => call.result?.text ?? ""));
      segment = plan(prompt, findScenario(prompt));
    }
  }
  if (segment === undefined) throw new Error("A request with prompts has a segment.");
  const { scenario, prompt, steps } = segment;
  const step = steps[prompt.answers] ?? say("There is nothing left to do.");
  const digest = createHash("sha256").update(`${first.text}\0${prompt.text}`).digest("hex").slice(0, 12);
  return {
    scenario: scenario.name,
    step,
    place: `${digest}/${prompt.messageIndex}/${scenario.name}/${prompt.answers}`,
  };

  function plan(prompt: Prompt, scenario: Scenario): Segment {
    const turn: Turn = {
      text: prompt.text,
      workingDirectory,
      tools,
      calls: prompt.calls,
      earlierResults: [...earlierResults],
      json: prompt.marker?.json,
    };
    return { scenario, prompt, steps: scenario.plan(prompt.marker, turn) };
  }

  function findScenario({ marker }: Prompt): Scenario {
    const name = marker?.name ?? DEFAULT_SCENARIO;
    const scenario = scenarios.get(name);
    if (scenario === undefined)
      throw new MarkerError(`There is no scenario "${name}". There are: ${[...scenarios.keys()].join(", ")}.`);
    return scenario;
  }
}
