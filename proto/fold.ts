import { clone, create } from "@bufbuild/protobuf";
import { durationFromMs, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { cutChars } from "./cut.ts";
import {
  Decider,
  type PermissionRequested,
  type SessionEvent,
  type TurnFinished,
} from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
import {
  DefaultedDecisionSchema,
  LastAnswerSchema,
  type LiveSummary,
  LiveSummarySchema,
  PendingRequest_Kind,
  PendingRequestSchema,
  PhaseTimingSchema,
  type Session,
  SessionSchema,
  Session_State,
} from "./gen/claudecluster/session/v1alpha1/session_pb.ts";
import { type FileChange, SessionResultSchema } from "./gen/claudecluster/session/v1alpha1/session_result_pb.ts";
import { toolSubject } from "./tool-subject.ts";

/** Returns a session of which nothing is known but its id. It is QUEUED. */
export function emptySession(id: string): Session {
  return create(SessionSchema, { id, state: Session_State.QUEUED, live: create(LiveSummarySchema) });
}

/** Returns whether a session in this state is over: nothing about it will change. */
export function isFinal(state: Session_State): boolean {
  return state === Session_State.SUCCEEDED || state === Session_State.FAILED || state === Session_State.CANCELED;
}

/** Returns whether a session is over and has changes that nobody has taken: these are not to be lost unasked. */
export function hasUntakenChanges({ state, result, taken }: Session): boolean {
  return isFinal(state) && taken === undefined && hasChanges(result);
}

function hasChanges(result: Session["result"]): boolean {
  return result !== undefined && (result.changeCount > 0 || result.commitsSizeBytes > 0n);
}

/** No Claude makes more; the rest comes from a container that wants the number to overflow. */
const MAX_COMMITS = 1_000_000;
/** Far more than a session has; the rest comes from a container that wants the host to grow. */
const MAX_PHASE_TIMINGS = 1000;
/** As many as an agent keeps, and longer names than it gives them. */
const MAX_PENDING_REQUESTS = 100;
const MAX_REQUEST_ID_LENGTH = 256;
const MAX_TOOL_NAME_LENGTH = 80;
/** It is shown in a line. */
const MAX_TOOL_SUBJECT_LENGTH = 200;
/** What its field holds. */
const MAX_LINES = 2 ** 31 - 1;
/** As many are told of. */
const MAX_DEFAULTED_DECISIONS = 20;
/** What a session is shown with; its result has them all. */
const MAX_LIVE_CHANGES = 100;

/** The kinds that `foldEvent` looks into; of all others it takes the number. */
const FOLDED = new Set<SessionEvent["event"]["case"]>([
  "sessionStarted",
  "stateChanged",
  "phaseChanged",
  "containerProgress",
  "queuePositionChanged",
  "messageQueued",
  "turnStarted",
  "turnFinished",
  "answerPart",
  "changesUpdated",
  "usageUpdated",
  "workspaceReady",
  "commitMade",
  "claudeReady",
  "permissionRequested",
  "toolUseStarted",
  "permissionDecided",
  "questionAsked",
  "questionAnswered",
  "decisionTimeChanged",
  "sessionFinished",
]);

/** Returns whether an event of this kind may change a session beyond its last sequence number. */
export function changesSession(kind: SessionEvent["event"]["case"]): boolean {
  return FOLDED.has(kind);
}

/**
 * Applies one event to a session, in place. A session is what this function makes of its whole log, event by event.
 * Kinds that do not matter to it only move the last sequence number.
 */
export function foldEvent(session: Session, entry: SessionEvent): void {
  session.lastSequence = entry.sequence;
  if (session.live !== undefined) foldLive(session.live, entry);
  const { event } = entry;
  switch (event.case) {
    case "sessionStarted":
      if (event.value.spec !== undefined) session.spec = event.value.spec;
      session.parent = event.value.parent;
      session.caller = event.value.caller;
      if (entry.occurTime !== undefined) session.createTime ??= entry.occurTime;
      break;
    case "stateChanged":
      session.state = event.value.state;
      break;
    case "phaseChanged":
      endPhase(session, entry.occurTime);
      session.phase = event.value.phase;
      if (session.phaseTimings.length >= MAX_PHASE_TIMINGS) break;
      session.phaseTimings.push(
        create(PhaseTimingSchema, { phase: event.value.phase, ...(entry.occurTime && { startTime: entry.occurTime }) }),
      );
      break;
    case "containerProgress":
      if (event.value.containerId !== "") session.containerId = event.value.containerId;
      break;
    case "changesUpdated":
      foldLines(session, event.value.changes);
      break;
    case "turnStarted":
      session.turnCount = event.value.turn;
      if (entry.occurTime !== undefined) session.startTime ??= entry.occurTime;
      break;
    case "claudeReady":
      session.conversationId = event.value.conversationId;
      break;
    case "permissionRequested":
      addPending(session, PendingRequest_Kind.PERMISSION, entry.sequence, event.value);
      break;
    case "questionAsked":
      addPending(session, PendingRequest_Kind.QUESTION, entry.sequence, event.value);
      break;
    case "decisionTimeChanged":
      for (const { requestId, expireTime } of event.value.times) {
        const pending = session.pendingRequests.find((known) => known.requestId === requestId);
        if (pending === undefined) continue;
        if (expireTime === undefined) delete pending.expireTime;
        else pending.expireTime = expireTime;
      }
      break;
    case "permissionDecided":
    case "questionAnswered": {
      const { requestId, decider } = event.value;
      foldDefaulted(session, requestId, decider);
      session.pendingRequests = session.pendingRequests.filter((pending) => pending.requestId !== requestId);
      if (requestId.length > MAX_REQUEST_ID_LENGTH) break;
      session.decidedRequestIds.push(requestId);
      if (session.decidedRequestIds.length > MAX_PENDING_REQUESTS) session.decidedRequestIds.shift();
      break;
    }
    case "sessionFinished":
      session.pendingRequests = [];
      delete session.live;
      endPhase(session, entry.occurTime);
      session.state = event.value.state;
      if (event.value.result !== undefined) {
        const result = clone(SessionResultSchema, event.value.result);
        session.result = result;
        // Otherwise those that were told before are more.
        if (result.changes.length === result.changeCount) foldLines(session, result.changes);
      }
      if (entry.occurTime !== undefined) session.endTime = entry.occurTime;
      break;
    default:
      break;
  }
}

function foldLive(live: LiveSummary, { sequence, event }: SessionEvent): void {
  switch (event.case) {
    case "sessionStarted":
      live.waitingMessageCount = 1;
      break;
    case "messageQueued":
      live.waitingMessageCount = Math.max(0, event.value.waitingCount);
      break;
    case "queuePositionChanged":
      live.queuePosition = event.value.position;
      break;
    case "phaseChanged":
      live.queuePosition = 0;
      break;
    case "changesUpdated":
      live.changes = event.value.changes.slice(0, MAX_LIVE_CHANGES);
      live.changeCount = event.value.changeCount;
      break;
    case "workspaceReady":
      live.baseCommitId = event.value.baseCommitId;
      break;
    case "commitMade":
      live.madeCommitCount = Math.min(MAX_COMMITS, live.madeCommitCount + Math.max(1, event.value.commitCount));
      live.lastCommitSubject = event.value.subject;
      break;
    case "usageUpdated":
      if (event.value.usage !== undefined) live.usage = event.value.usage;
      break;
    case "turnStarted":
      // One that did not have to wait was never told of.
      live.waitingMessageCount = Math.max(0, live.waitingMessageCount - 1);
      live.toolName = live.toolSubject = "";
      break;
    case "toolUseStarted":
      live.toolName = cutChars(event.value.name, MAX_TOOL_NAME_LENGTH);
      live.toolSubject = cutChars(toolSubject(event.value.inputJson), MAX_TOOL_SUBJECT_LENGTH);
      break;
    case "answerPart":
      if (event.value.partIndex === 0) live.answerPartSequence = sequence;
      break;
    case "turnFinished":
      if (event.value.usage !== undefined) live.usage = event.value.usage;
      foldAnswer(live, sequence, event.value);
      break;
    default:
      break;
  }
}

/** A turn without an answer leaves the one before. */
function foldAnswer(live: LiveSummary, lastSequence: number, { text, truncated, turn }: TurnFinished): void {
  if (text !== "") {
    const firstSequence = truncated && live.answerPartSequence > 0 ? live.answerPartSequence : lastSequence;
    live.answer = create(LastAnswerSchema, { text, truncated, turn, firstSequence, lastSequence });
  }
  live.answerPartSequence = 0;
}

function addPending(
  { pendingRequests }: Session,
  kind: PendingRequest_Kind,
  sequence: number,
  {
    requestId,
    expireTime,
    toolName = "",
  }: Pick<PermissionRequested, "requestId" | "expireTime"> & { toolName?: string },
): void {
  if (pendingRequests.length >= MAX_PENDING_REQUESTS || requestId.length > MAX_REQUEST_ID_LENGTH) return;
  const fields = { requestId, kind, sequence, toolName: cutChars(toolName, MAX_TOOL_NAME_LENGTH) };
  pendingRequests.push(create(PendingRequestSchema, { ...fields, ...(expireTime && { expireTime }) }));
}

function foldLines(session: Session, changes: readonly FileChange[]): void {
  const sum = (count: (change: FileChange) => number) =>
    changes.reduce((total, change) => Math.min(MAX_LINES, total + Math.max(0, count(change))), 0);
  session.addedLineCount = sum(({ addedLineCount }) => addedLineCount);
  session.deletedLineCount = sum(({ deletedLineCount }) => deletedLineCount);
}

/** Nobody decided: who reads the result is to know. */
function foldDefaulted(session: Session, requestId: string, decider: Decider): void {
  if (decider !== Decider.TIMEOUT && decider !== Decider.POLICY) return;
  session.defaultedDecisionCount += 1;
  const pending = session.pendingRequests.find((known) => known.requestId === requestId);
  if (pending === undefined || session.defaultedDecisions.length >= MAX_DEFAULTED_DECISIONS) return;
  const { kind, toolName } = pending;
  const nobodyToAsk = decider === Decider.POLICY;
  session.defaultedDecisions.push(create(DefaultedDecisionSchema, { kind, toolName, nobodyToAsk }));
}

function endPhase(session: Session, at: Timestamp | undefined): void {
  const running = session.phaseTimings.at(-1);
  if (running === undefined || running.elapsed !== undefined || running.startTime === undefined || at === undefined)
    return;
  // The clocks of host and container may differ a little.
  running.elapsed = durationFromMs(Math.max(0, timestampMs(at) - timestampMs(running.startTime)));
}
