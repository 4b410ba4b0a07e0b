import { expect, test } from "vitest";
import { AppError } from "../../../proto/index.ts";
import { engineError, isDefinite } from "./engine-error.ts";

const otherwise = { reason: "CONTAINER_CREATE_FAILED", what: "The Docker engine made no container" } as const;
const withCode = (code: string) => Object.assign(new Error(`connect ${code}`), { code });
/** As docker-modem 5.0.7 makes it. */
const withStatus = (statusCode: number, message: string) =>
  Object.assign(new Error(`(HTTP code ${statusCode}) unexpected - ${message} `), { statusCode });

test.each([
  ["ENOENT", "RUNTIME_UNAVAILABLE", true],
  ["ECONNREFUSED", "RUNTIME_UNAVAILABLE", true],
  ["ECONNRESET", "RUNTIME_UNAVAILABLE", false],
  ["EPIPE", "RUNTIME_UNAVAILABLE", false],
  ["EACCES", "RUNTIME_PERMISSION_DENIED", true],
])("tells %s as %s; it is certain that nothing was done: %s", (code, reason, definite) => {
  const error = withCode(code);
  expect(engineError(error, otherwise)).toMatchObject({ reason, cause: error, help: expect.stringMatching(/docker/) });
  expect(isDefinite(error)).toBe(definite);
});

test("tells an answer that says no in the engine's words, without the library's", () => {
  const error = engineError(withStatus(409, "Conflict. The name is in use"), otherwise);
  expect(error).toMatchObject({ reason: "CONTAINER_CREATE_FAILED", kind: "INTERNAL", metadata: { status: "409" } });
  expect(error.message).toBe("The Docker engine made no container: Conflict. The name is in use.");
  expect(engineError(withStatus(400, "bad"), otherwise).kind).toBe("INVALID_ARGUMENT");
  const filtered = { kind: "PERMISSION_DENIED", help: expect.stringContaining("engine filter") };
  expect(engineError(withStatus(403, "refused"), otherwise)).toMatchObject(filtered);
});

test("passes our own errors on", () => {
  const error = new AppError("IMAGE_NOT_FOUND", "x");
  expect(engineError(error, otherwise)).toBe(error);
});
