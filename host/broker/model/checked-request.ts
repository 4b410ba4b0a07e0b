import { isReasonable, type Members, parseJson } from "../json.ts";
import { checkModelRequest, type ModelPolicy } from "./model-policy.ts";

/** Request that may be passed on, written anew, and what is to be known of it. */
export interface CheckedRequest {
  content: Uint8Array;
  model: string;
  /** Most tokens of its answer. Undefined: it says none that the endpoint would take. */
  maxTokens: number | undefined;
  streamed: boolean;
}

/** Returns what is passed on of a request's body, or why it is refused. */
export function checkRequest(content: Buffer, policy: ModelPolicy): CheckedRequest | { refused: string } {
  if (!isReasonable(content)) return { refused: "the body has more values than any request" };
  const checked = checkModelRequest(parseJson(content), policy);
  if ("refused" in checked) return checked;
  const { model, max_tokens: maxTokens, stream } = checked.body;
  return {
    // What was looked at is what is sent: of two members with one name, say, the one that counts here.
    content: encode(checked.body),
    model: typeof model === "string" ? model : "",
    maxTokens: Number.isInteger(maxTokens) && (maxTokens as number) >= 0 ? (maxTokens as number) : undefined,
    streamed: stream === true,
  };
}

/** Returns the content of a request for another model. */
export function withModel(content: Buffer, model: string): Uint8Array {
  return encode({ ...(parseJson(content) as Members), model });
}

/** In memory of its own, which can go to another thread. */
function encode(body: Members): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(body));
}
