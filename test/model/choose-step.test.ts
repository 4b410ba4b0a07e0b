import { describe, expect, it } from "vitest";
import { chooseStep } from "./choose-step.ts";
import { MarkerError } from "./marker.ts";
import { parseMessagesRequest, type MessagesRequest } from "./messages-request.ts";
import { call, defineScenario, say, type Scenario } from "./scenario.ts";

const SCENARIOS = new Map<string, Scenario>(
  [
    defineScenario({ name: "small-edit", summary: "", steps: (_, turn) => [say(`default: ${turn.text}`)] }),
    defineScenario({
      name: "two",
      summary: "",
      steps: (_, turn) => [call("first", ["Read", {}]), say(`second: ${turn.calls[0]?.result?.text ?? "none"}`)],
    }),
    defineScenario({
      name: "four",
      summary: "",
      parameters: { word: "n" },
      steps: ({ word }) => [1, 2, 3, 4].map((number) => say(`${word}${number}`)),
    }),
  ].map((scenario) => [scenario.name, scenario]),
);

type Message = { role: "user" | "assistant" | "system"; content: unknown };

const user = (...texts: string[]): Message => ({
  role: "user",
  content: texts.map((text) => ({ type: "text", text })),
});
const assistant = (text = "…"): Message => ({ role: "assistant", content: [{ type: "text", text }] });
const system = (content: string): Message => ({ role: "system", content });

function request(messages: readonly Message[], fields: Record<string, unknown> = {}): MessagesRequest {
  const parsed = parseMessagesRequest({ model: "m", max_tokens: 1, tools: [{ name: "Read" }], messages, ...fields });
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.request;
}

function spoken(...messages: readonly Message[]): string {
  return chooseStep(request(messages), SCENARIOS)
    .step.blocks.map((block) => (block.type === "tool_use" ? block.name : block.text))
    .join(" ");
}

describe("chooseStep", () => {
  it("plays the default scenario for a task without a marker", () => {
    expect(spoken(user("<system-reminder>about</system-reminder>", "add a line"))).toBe("default: add a line");
  });

  it("plays one step for each assistant message", () => {
    const conversation = [
      user("[scenario: four word=x]"),
      assistant(),
      system("note"),
      user("<task-notification>done</task-notification>"),
      assistant(),
    ];
    expect(spoken(...conversation)).toBe("x3");
  });

  it("hands a tool's result to the next step", () => {
    const use = { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "Read", input: {} }] } as const;
    const result = {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "t1", content: [{ type: "text", text: "found [scenario: four]" }] },
      ],
    } as const;
    expect(spoken(user("[scenario: two]"), use, result)).toBe("second: found [scenario: four]");
  });

  it("begins another scenario when a later message names one", () => {
    expect(spoken(user("[scenario: four]"), assistant(), assistant(), user("now [scenario: two]"))).toBe("first Read");
  });

  it("goes on with a scenario after a message that names none, and plays the default once it is over", () => {
    expect(spoken(user("[scenario: two]"), assistant(), user("hurry"))).toBe("second: none");
    expect(spoken(user("[scenario: two]"), assistant(), assistant(), user("thanks"))).toBe("default: thanks");
  });

  it("takes the newest of messages that were merged after a failed turn", () => {
    expect(spoken(user("[scenario: nonesuch]", "[Request interrupted by user]\n", "[scenario: four]"))).toBe("n1");
  });

  it("sees a message that was sent while the turn was running", () => {
    const sent =
      "The user sent a new message while you were working:\nstop, [scenario: two]\n\nThis is how Claude Code surfaces messages";
    expect(spoken(user("[scenario: four]"), assistant(), system(sent))).toBe("first Read");
    expect(spoken(user("[scenario: four]"), assistant(), user(`<system-reminder>\n${sent}</system-reminder>`))).toBe(
      "first Read",
    );
  });

  it("ignores markers in what Claude Code adds by itself", () => {
    expect(spoken(user("<system-reminder>commit: [scenario: four]</system-reminder>", "hello"))).toBe("default: hello");
    expect(spoken(user("hello"), system("# Environment [scenario: four]"))).toBe("default: hello");
  });

  it.each(["", "<system-reminder>\n"])(
    "gives an answer again that broke off mid-stream, told of with %j before it",
    (before) => {
      const note = `${before}Your response above was cut off mid-stream. Resume directly`;
      expect(spoken(user("[scenario: four]"), assistant("n"), user(note))).toBe("n1");
    },
  );

  it("answers a request without tools harmlessly, as JSON where a schema asks for it", () => {
    const title = {
      tools: [],
      output_config: {
        format: { type: "json_schema", schema: { type: "object", properties: { title: { type: "string" } } } },
      },
    };
    expect(chooseStep(request([user("[scenario: four]")], title), SCENARIOS)).toMatchObject({
      scenario: "side request",
      step: { blocks: [{ text: '{"title":"Scripted answer"}' }] },
    });
  });

  it("names what there is when a scenario or parameter does not exist", () => {
    expect(() => spoken(user("[scenario: nonesuch]"))).toThrow(MarkerError);
    expect(() => spoken(user("[scenario: four words=x]"))).toThrow(/It takes: word, delay-ms/);
  });

  it("gives a retry the same place, and every other step another one", () => {
    const place = (...messages: Message[]): string => chooseStep(request(messages), SCENARIOS).place;
    expect(place(user("[scenario: four]"))).toBe(place(user("[scenario: four]")));
    expect(
      new Set([
        place(user("[scenario: four]")),
        place(user("[scenario: four]"), assistant()),
        place(user("[scenario: two]")),
      ]).size,
    ).toBe(3);
  });
});
