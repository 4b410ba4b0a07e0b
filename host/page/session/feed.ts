import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Phase, type SessionEvent, toolSubject } from "../../../proto/index.ts";
import { deciderText, progressLine } from "../../present/progress-line.ts";
import { plural } from "../../present/plural.ts";
import { sizeText } from "../../present/sent-text.ts";
import { phaseName } from "../../present/session-summary.ts";
import { FeedText } from "./feed-text.ts";

/** What an entry tells of; people filter by it. */
export type FeedKind =
  "claude" | "tool" | "decision" | "message" | "change" | "network" | "output" | "progress" | "end";

/** How it stands with what an entry tells of. */
export type FeedState = "" | "running" | "waiting" | "good" | "bad";

/** Entry of a feed: one thing that happened, with what came of it. */
export interface FeedEntry {
  /** Number of its first event. */
  sequence: number;
  timeMs: number;
  kind: FeedKind;
  state: FeedState;
  /** What happened, in our words. */
  title: string;
  /** On what, as the container says it. */
  subject: string;
  texts: FeedText[];
  /** How long it took. Absent while it is not known. */
  elapsedMs?: number;
  /** Whether a sub-agent did it. */
  nested: boolean;
}

/** Most entries that are kept, and most characters of their texts: the host has them all. */
const MAX_ENTRIES = 200_000;
const MAX_CHARS = 64 * 1024 * 1024;
/** Entries that go at once where there are too many. */
const DROPPED_ENTRIES = 20_000;

/** Entries of a session, put together from its events in their order. */
export class Feed {
  entries: FeedEntry[] = [];
  /** Entries that are not kept any more, since there are too many. */
  droppedCount = 0;
  /** Entries whose texts are not kept any more, from the oldest. */
  #emptiedCount = 0;
  /** Characters of the entries that are kept. */
  #chars = 0;
  /** Entries that another event may add to, by what it names. */
  readonly #open = new Map<string, FeedEntry>();
  /** What the newest entry can take more of. */
  #growing = "";

  /** Adds the next event. */
  add(event: SessionEvent): void {
    this.#take(event);
    this.#bound();
  }

  #take(entry: SessionEvent): void {
    const { event } = entry;
    switch (event.case) {
      case "assistantText": {
        const { text, truncated, sizeBytes, parentToolUseId } = event.value;
        const texts = [this.#text("", text, truncated ? sizeBytes : undefined)];
        this.#push(entry, "claude", "Claude", { texts, nested: parentToolUseId !== "" });
        break;
      }
      case "assistantThinking": {
        const { text, truncated, sizeBytes, parentToolUseId } = event.value;
        const texts = text === "" ? [] : [this.#text("thoughts", text, truncated ? sizeBytes : undefined)];
        this.#push(entry, "claude", "Claude thinks", { texts, nested: parentToolUseId !== "" });
        break;
      }
      case "claudeNotice": {
        const { text, saidToClaude } = event.value;
        this.#push(entry, "progress", saidToClaude ? "Said to Claude" : "Claude Code", {
          texts: [this.#text("", text)],
        });
        break;
      }
      case "toolUseStarted": {
        const { toolUseId, name, inputJson, truncated, sizeBytes, parentToolUseId } = event.value;
        const subject = `${name} ${toolSubject(inputJson)}`.trim();
        const texts = [this.#text("input", inputJson, truncated ? sizeBytes : undefined)];
        const nested = parentToolUseId !== "";
        this.#open.set(
          `tool ${toolUseId}`,
          this.#push(entry, "tool", "Tool", { subject, texts, nested, state: "running" }),
        );
        break;
      }
      case "toolUseFinished": {
        const { toolUseId, failed, output, truncated, sizeBytes } = event.value;
        const tool = this.#close(`tool ${toolUseId}`) ?? this.#push(entry, "tool", "Tool", {});
        tool.state = failed ? "bad" : "good";
        tool.elapsedMs = timeOf(entry) - tool.timeMs;
        if (output !== "") tool.texts.push(this.#text("output", output, truncated ? sizeBytes : undefined));
        break;
      }
      case "permissionRequested": {
        const { requestId, toolName, inputJson, truncated, description } = event.value;
        const subject = `${toolName} ${toolSubject(inputJson)}`.trim();
        const texts = [
          ...(description === "" ? [] : [this.#text("purpose", description)]),
          this.#text("input", inputJson, truncated ? 0n : undefined),
        ];
        const asked = this.#push(entry, "decision", "Asks for permission", { subject, texts, state: "waiting" });
        this.#open.set(`request ${requestId}`, asked);
        break;
      }
      case "permissionDecided": {
        const { requestId, allowed, message, decider, sessionRules } = event.value;
        const asked = this.#close(`request ${requestId}`) ?? this.#push(entry, "decision", "", {});
        const how = allowed && sessionRules.length > 0 ? "Permission given for the session" : "Permission given";
        asked.title = `${allowed ? how : "Permission denied"}${deciderText(decider)}`;
        asked.state = allowed ? "good" : "bad";
        asked.elapsedMs = timeOf(entry) - asked.timeMs;
        if (sessionRules.length > 0)
          asked.texts.push(this.#text("from now on without asking", sessionRules.join("\n")));
        if (message !== "") asked.texts.push(this.#text("Claude was told", message));
        break;
      }
      case "questionAsked": {
        const { requestId, questions } = event.value;
        const subject = questions.map(({ question }) => question).join(" / ");
        const offered = questions.flatMap(({ options }) =>
          options.map(({ label, description }) => `${label}${description === "" ? "" : `: ${description}`}`),
        );
        const texts = offered.length === 0 ? [] : [this.#text("offers", offered.join("\n"))];
        const asked = this.#push(entry, "decision", "Asks", { subject, texts, state: "waiting" });
        this.#open.set(`request ${requestId}`, asked);
        break;
      }
      case "questionAnswered": {
        const { requestId, answers, decider } = event.value;
        const asked = this.#close(`request ${requestId}`) ?? this.#push(entry, "decision", "", {});
        asked.title = answers.length === 0 ? `Question left to Claude${deciderText(decider)}` : "Question answered";
        asked.state = answers.length === 0 ? "bad" : "good";
        asked.elapsedMs = timeOf(entry) - asked.timeMs;
        if (answers.length > 0) {
          asked.texts.push(this.#text("answer", answers.map(({ values }) => values.join(", ")).join("\n")));
        }
        break;
      }
      case "turnStarted": {
        const { turn, text, truncated } = event.value;
        const title = turn < 2 ? "Task" : "Message";
        this.#push(entry, "message", title, { texts: [this.#text("", text, truncated ? 0n : undefined)] });
        break;
      }
      case "turnFinished": {
        const { turn, failure, interrupted, elapsed } = event.value;
        const title = `Turn ${turn} ${failure !== undefined ? "failed" : interrupted ? "was interrupted" : "is done"}`;
        const texts = failure === undefined ? [] : [this.#text("", `${failure.reason}: ${failure.message}`)];
        const ended = this.#push(entry, "progress", title, { texts, state: failure === undefined ? "" : "bad" });
        if (elapsed !== undefined) ended.elapsedMs = durationMs(elapsed);
        break;
      }
      case "filePatched":
        if (event.value.partIndex === 0 && event.value.change !== undefined) {
          this.#replace(entry, "change", "File changed", {
            subject: progressLine(entry) ?? "",
            grows: `file ${event.value.change.path}`,
          });
        }
        break;
      case "commitMade":
        this.#push(entry, "change", "Commit", { subject: progressLine(entry) ?? "" });
        break;
      case "egressDecided":
        if (!event.value.allowed) {
          const { destination, reason } = event.value;
          this.#push(entry, "network", "Connection refused", { subject: `${destination}: ${reason}`, state: "bad" });
        }
        break;
      case "commandOutput": {
        const { phase, data } = event.value;
        this.#grow(entry, phaseTitle(phase), { data, grows: `output ${phase}` });
        break;
      }
      case "stderrOutput":
        this.#grow(entry, "Claude Code's standard error", { data: event.value.data, grows: "stderr" });
        break;
      case "unrecognizedLine": {
        const { line, truncated, sizeBytes } = event.value;
        const text = this.#text("", new TextDecoder().decode(line), truncated ? sizeBytes : undefined);
        this.#push(entry, "output", "A line that is not known", { texts: [text] });
        break;
      }
      case "outputTruncated": {
        const { sizeBytes, source } = event.value;
        this.#push(entry, "output", `${sizeText(Number(sizeBytes))} of output were dropped`, { subject: source });
        break;
      }
      case "containerProgress":
        this.#replace(entry, "progress", "Container", {
          subject: event.value.message,
          // Of a build only the newest line is news.
          grows: event.value.building ? "build" : "",
        });
        break;
      case "cloneProgress":
        this.#replace(entry, "progress", "Repository", { subject: progressLine(entry) ?? "", grows: "clone" });
        break;
      case "queuePositionChanged":
        this.#replace(entry, "progress", "Queue", { subject: progressLine(entry) ?? "", grows: "queue" });
        break;
      case "backgroundTasksChanged": {
        const { descriptions } = event.value;
        const title = `${plural(descriptions.length, "command")} in the background`;
        if (descriptions.length > 0)
          this.#push(entry, "progress", title, { texts: [this.#text("", descriptions.join("\n"))] });
        break;
      }
      case "retrying":
        this.#push(entry, "network", "Model", { subject: progressLine(entry) ?? "", state: "bad" });
        break;
      case "budgetReached":
        this.#push(entry, "network", progressLine(entry) ?? "", { state: "bad" });
        break;
      case "sessionFinished": {
        for (const open of this.#open.values())
          if (open.state === "running" || open.state === "waiting") open.state = "";
        const { outcome } = event.value.result ?? {};
        const state = outcome?.case === "success" ? "good" : outcome?.case === "failure" ? "bad" : "";
        const texts = outcome?.case === "failure" ? [this.#text("", outcome.value.message)] : [];
        this.#push(entry, "end", "Session", { subject: progressLine(entry) ?? "", texts, state });
        break;
      }
      case "phaseChanged":
        // Of these the runtime tells itself.
        if (![Phase.IMAGE, Phase.CREATE, Phase.START].includes(event.value.phase)) {
          this.#push(entry, "progress", "", { subject: progressLine(entry) ?? "" });
        }
        break;
      case "setupFinished":
      case "checkFinished":
      case "connectionMade":
      case "connectionLost":
      case "connectionRestored":
      case "messageQueued":
      case "sessionRestored":
      case "userFilesCopied":
      case "claudeReady":
        this.#push(entry, "progress", "", { subject: progressLine(entry) ?? "" });
        break;
      default:
        break;
    }
  }

  #push(
    event: SessionEvent,
    kind: FeedKind,
    title: string,
    { subject = "", texts = [], state = "", nested = false }: Partial<FeedEntry>,
  ): FeedEntry {
    const entry: FeedEntry = {
      sequence: event.sequence,
      timeMs: timeOf(event),
      kind,
      state,
      title,
      subject,
      texts,
      nested,
    };
    this.#chars += subject.length;
    this.entries.push(entry);
    this.#growing = "";
    return entry;
  }

  /** Replaces the newest entry where that tells of the same. */
  #replace(
    event: SessionEvent,
    kind: FeedKind,
    title: string,
    { subject, grows }: { subject: string; grows: string },
  ): void {
    const last = this.entries.at(-1);
    if (last !== undefined && grows !== "" && grows === this.#growing) {
      this.#chars += subject.length - last.subject.length;
      last.subject = subject;
    } else this.#push(event, kind, title, { subject });
    this.#growing = grows;
  }

  /** Adds to the text of the newest entry where that is of the same. */
  #grow(event: SessionEvent, title: string, { data, grows }: { data: Uint8Array; grows: string }): void {
    const last = this.entries.at(-1)?.texts[0];
    const before = last?.text.length ?? 0;
    if (last !== undefined && grows === this.#growing && last.grow(data)) this.#chars += last.text.length - before;
    else {
      const text = new FeedText("", "");
      text.grow(data);
      this.#chars += text.text.length;
      this.#push(event, "output", title, { texts: [text] });
    }
    this.#growing = grows;
  }

  #text(label: string, text: string, wholeBytes?: bigint): FeedText {
    this.#chars += text.length;
    return new FeedText(label, text, wholeBytes === undefined ? undefined : Number(wholeBytes));
  }

  #close(key: string): FeedEntry | undefined {
    const entry = this.#open.get(key);
    this.#open.delete(key);
    return entry;
  }

  #bound(): void {
    if (this.entries.length > MAX_ENTRIES) {
      for (const entry of this.entries.splice(0, DROPPED_ENTRIES)) this.#chars -= charsOf(entry);
      this.droppedCount += DROPPED_ENTRIES;
      this.#emptiedCount = Math.max(0, this.#emptiedCount - DROPPED_ENTRIES);
      // What was dropped is as open as it ever was.
      const first = this.entries[0]!.sequence;
      for (const [key, { sequence }] of this.#open) if (sequence < first) this.#open.delete(key);
    }
    while (this.#chars > MAX_CHARS && this.#emptiedCount < this.entries.length) {
      const entry = this.entries[this.#emptiedCount++]!;
      this.#chars -= entry.texts.reduce((sum, text) => sum + text.drop(), 0);
    }
  }
}

function charsOf({ subject, texts }: FeedEntry): number {
  return texts.reduce((sum, { text }) => sum + text.length, subject.length);
}

function timeOf({ occurTime }: SessionEvent): number {
  return occurTime === undefined ? 0 : timestampMs(occurTime);
}

function phaseTitle(phase: Phase): string {
  return `Output of the ${phaseName(phase)}`;
}
