// Thread in which the bodies of large requests are checked. Its answers have the orders' ids.
import { parentPort } from "node:worker_threads";
import { checkRequest, withModel } from "./checked-request.ts";
import type { CheckAnswer, CheckOrder } from "./request-checks.ts";

parentPort!.on("message", ({ id, content, ...order }: CheckOrder) => {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const result = "policy" in order ? checkRequest(bytes, order.policy) : { content: withModel(bytes, order.model) };
  const answer: CheckAnswer = { id, result };
  parentPort!.postMessage(answer, "content" in result ? [result.content.buffer as ArrayBuffer] : []);
});
