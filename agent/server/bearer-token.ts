import { createHash, timingSafeEqual } from "node:crypto";
import * as grpc from "@grpc/grpc-js";
import { AppError } from "../../proto/index.ts";
import { statusOf } from "./status.ts";

/** Returns an interceptor that refuses every call, of any service, without the token: TOKEN_INVALID. */
export function requireBearerToken(token: string): grpc.ServerInterceptor {
  const expected = digest(`Bearer ${token}`);
  return (_method, call) =>
    new grpc.ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, proceed) {
            const given = metadata.get("authorization")[0] ?? "";
            // Digests have one length, and say nothing about how much of the token was right.
            if (timingSafeEqual(digest(String(given)), expected)) return proceed(metadata);
            const error = new AppError("TOKEN_INVALID", "The call does not carry this agent's token.", {
              help: 'Send the header "authorization: Bearer <token>".',
            });
            call.sendStatus(statusOf(error));
          },
        });
      },
    });
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
