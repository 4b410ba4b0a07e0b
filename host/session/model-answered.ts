import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { cutChars, type EventBody, MeteredUsageSchema, ModelAnsweredSchema } from "../../proto/index.ts";
import type { ModelRequest } from "../broker/model/model-request.ts";

/** A container that asks for nothing but errors could make a log of them. */
const MAX_TOLD = 10_000;
const MAX_NAME_LENGTH = 100;

/** Returns what makes events of a session's requests to the model: of no more than 10,000. Undefined: this one is not told. */
export function requestEvents(traceId: string): (request: ModelRequest) => EventBody | undefined {
  let count = 0;
  return (request) => {
    if (++count > MAX_TOLD) return undefined;
    const { model, answeringModel = "", answerDelayMs, httpStatus, failure = "", usage, claimed } = request;
    const value = create(ModelAnsweredSchema, {
      model: cutChars(model, MAX_NAME_LENGTH),
      answeringModel: cutChars(answeringModel, MAX_NAME_LENGTH),
      startTime: timestampFromMs(request.startMs),
      ...(answerDelayMs !== undefined && { answerDelay: durationFromMs(answerDelayMs) }),
      elapsed: durationFromMs(request.elapsedMs),
      httpStatus,
      failure,
      ...(usage !== undefined && { usage: create(MeteredUsageSchema, usage) }),
      claimedSpanId: claimed?.traceId === traceId ? claimed.spanId : "",
    });
    return { case: "modelAnswered", value };
  };
}
