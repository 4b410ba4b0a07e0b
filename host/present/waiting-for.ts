import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { PendingDecision } from "../../proto/index.ts";
import { oneLine, plainText } from "./plain-text.ts";

/** Decision that a session waits for, as plain JSON. Its texts were written in the container. */
export interface WaitingFor {
  request_id: string;
  kind: "permission" | "question";
  /** Time in ISO 8601 at which a permission is denied, or a question left to Claude. */
  expire_time: string;
  /** Tool that Claude wants to use. Only of a permission. */
  tool?: string;
  /** Input of the tool as JSON, which may be cut. Only of a permission. */
  input?: string;
  description?: string;
  /** Questions of Claude's. Only of a question. */
  questions?: {
    question: string;
    header: string;
    options: { label: string; description: string }[];
    multi_select: boolean;
  }[];
}

/** Returns a pending decision as plain JSON. */
export function waitingFor(decision: PendingDecision): WaitingFor {
  const { request, kind } = decision;
  const common = { request_id: oneLine(request.requestId), kind, expire_time: isoTime(request.expireTime) };
  if (decision.kind === "permission") {
    const { toolName, inputJson, description } = decision.request;
    const said = description !== "" && { description: plainText(description) };
    return { ...common, tool: oneLine(toolName), input: plainText(inputJson), ...said };
  }
  return {
    ...common,
    questions: decision.request.questions.map(({ question, header, options, multiSelect }) => ({
      question: plainText(question),
      header: oneLine(header),
      options: options.map(({ label, description }) => ({
        label: oneLine(label),
        description: plainText(description),
      })),
      multi_select: multiSelect,
    })),
  };
}

/** Empty for a time that is none: a container may say anything. */
function isoTime(time: Timestamp | undefined): string {
  const date = time === undefined ? undefined : timestampDate(time);
  return date === undefined || Number.isNaN(date.getTime()) ? "" : date.toISOString();
}
