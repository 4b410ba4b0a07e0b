import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { ElicitRequestFormParams } from "@modelcontextprotocol/server";
import { cutChars, type PendingDecision, type Question, type Session } from "../../proto/index.ts";
import { escapeHidden } from "../present/plain-text.ts";
import { repositoryName } from "../present/sent-text.ts";
import { shortId } from "../present/status-line.ts";

/** What somebody decided in a form. Undefined where nothing was decided. */
export type FormDecision =
  | { kind: "permission"; allow: boolean; forSession: boolean; message: string }
  | { kind: "question"; answers: string[][] };

const ONCE = "Allow once";
const FOR_SESSION = "Allow for this session";
const NO = "No";

const MAX_LINES = 24;
const MAX_LINE_CHARS = 200;
const MAX_LABEL_CHARS = 80;
const MAX_WORDS_CHARS = 4_000;

type Properties = ElicitRequestFormParams["requestedSchema"]["properties"];

/**
 * Returns the form in which a person decides what a session waits for: which session, on what, what it wants and why. The first
 * lines say most, since Claude Code shows four. What was written in the container stands behind a bar or in quotation marks,
 * escaped and cut, so that it cannot pass for ours.
 */
export function decisionForm(session: Session, decision: PendingDecision): ElicitRequestFormParams {
  const repository = basename(repositoryName(session.spec?.repository));
  const on = repository === "" ? "" : ` on ${label(repository)}`;
  const who = `Claude in session ${shortId(session.id)}${on}`;
  const task = ["Its task:", quoted(session.spec?.task ?? "", 3)];
  const required: string[] = [];
  if (decision.kind === "permission") {
    const { toolName, inputJson, truncated, description, sessionRules } = decision.request;
    const message = [
      `${who} wants to use ${label(toolName)}.`,
      ...(description === "" ? [] : [`Why, in its words: ${label(description)}`]),
      quoted(inputText(inputJson), MAX_LINES),
      ...(truncated ? ["(This is not all of it.)"] : []),
      ...task,
      ...(sessionRules.length === 0 ? [] : [`"${FOR_SESSION}" also allows:`, quoted(sessionRules.join("\n"), 8)]),
    ].join("\n");
    const choices = [ONCE, ...(sessionRules.length === 0 ? [] : [FOR_SESSION]), NO];
    const properties: Properties = {
      decision: { type: "string", title: "Decision", enum: choices },
      message: { type: "string", title: "If not: what it is told", maxLength: MAX_WORDS_CHARS },
    };
    return { mode: "form", message, requestedSchema: { type: "object", properties, required: ["decision"] } };
  }
  const { questions } = decision.request;
  const number = (index: number) => (questions.length === 1 ? "" : ` ${index + 1}`);
  const asked = questions.flatMap((question, index) => [
    ...(questions.length === 1 ? [] : [`Question${number(index)}:`]),
    quoted(question.question, 8),
    ...question.options.map((option) => quoted(`${option.label}: ${option.description}`, 3)),
  ]);
  const properties: Properties = {};
  questions.forEach((question, index) => {
    const { labels } = choicesOf(question);
    const title = `Answer${number(index)}${question.multiSelect ? ", any of these" : ""}`;
    if (labels.length > 0) {
      properties[`choice_${index + 1}`] = question.multiSelect
        ? { type: "array", title, items: { type: "string", enum: labels } }
        : { type: "string", title, enum: labels };
    }
    const words = labels.length > 0 ? `Or answer${number(index)} in your own words` : `Answer${number(index)}`;
    properties[`words_${index + 1}`] = { type: "string", title: words, maxLength: MAX_WORDS_CHARS };
  });
  const message = [`${who} asks:`, ...asked, ...task].join("\n");
  return { mode: "form", message, requestedSchema: { type: "object", properties, required } };
}

/** Reads what somebody has put into a form. Undefined: it decides nothing. */
export function readForm(
  decision: PendingDecision,
  content: Readonly<Record<string, unknown>>,
): FormDecision | undefined {
  if (decision.kind === "permission") {
    const { decision: chosen, message } = content;
    if (chosen !== ONCE && chosen !== FOR_SESSION && chosen !== NO) return undefined;
    const said = typeof message === "string" ? cutChars(message, MAX_WORDS_CHARS) : "";
    return { kind: "permission", allow: chosen !== NO, forSession: chosen === FOR_SESSION, message: said };
  }
  const answers = decision.request.questions.map((question, index) => {
    const { labels, values } = choicesOf(question);
    const { [`choice_${index + 1}`]: choice, [`words_${index + 1}`]: words } = content;
    const chosen = (Array.isArray(choice) ? choice : [choice]).flatMap(
      (each) => values[labels.indexOf(each as string)] ?? [],
    );
    const said = typeof words === "string" && words.trim() !== "" ? [cutChars(words, MAX_WORDS_CHARS)] : [];
    return question.multiSelect ? [...chosen, ...said] : said.length > 0 ? said : chosen.slice(0, 1);
  });
  return answers.every(({ length }) => length > 0) ? { kind: "question", answers } : undefined;
}

/** Returns a name for a request that no other has, whatever the container calls it. */
export function formKey(sessionId: string, requestId: string): string {
  return `${sessionId}.${createHash("sha256").update(requestId).digest("hex").slice(0, 24)}`;
}

/** The labels of a question's options as they are shown, each another, and as Claude knows them. */
function choicesOf({ options }: Question): { labels: string[]; values: string[] } {
  const labels: string[] = [];
  for (const option of options) {
    const shown = label(option.label);
    labels.push(labels.includes(shown) ? `${shown} (${labels.length + 1})` : shown);
  }
  return { labels, values: options.map((option) => option.label) };
}

/** Input as a person reads it: a command as such, everything else as JSON. */
function inputText(json: string): string {
  try {
    const input = JSON.parse(json) as Record<string, unknown>;
    const lines = Object.entries(input)
      .filter(([name]) => name !== "description")
      .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
    return lines.length === 0 ? json : lines.join("\n");
  } catch {
    return json;
  }
}

/** A text of the container's on lines of its own, each behind a bar. */
function quoted(text: string, maxLines: number): string {
  const lines = escaped(text).split("\n");
  const shown = lines.slice(0, maxLines).map((line) => `│ ${cut(line, MAX_LINE_CHARS)}`);
  return [...shown, ...(lines.length > maxLines ? [`│ … and ${lines.length - maxLines} lines more`] : [])].join("\n");
}

/** A few words of the container's within a line of ours. */
function label(text: string): string {
  return `“${cut(escaped(text).replace(/\s+/g, " ").replace(/[“”]/g, "'"), MAX_LABEL_CHARS)}”`;
}

function cut(text: string, maxChars: number): string {
  return text.length <= maxChars ? text : `${cutChars(text, maxChars)}… (cut)`;
}

function escaped(text: string): string {
  return escapeHidden(text.toWellFormed(), (hidden) =>
    hidden.replace(/[^]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`),
  );
}
