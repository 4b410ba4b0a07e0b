import { create, fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { encodeDataMessage, isDataMessage } from "./data-message.ts";
import { GetAgentInfoResponseSchema, TunnelRequestSchema, TunnelResponseSchema } from "./index.ts";

test.each([0, 1, 127, 128, 16_383, 16_384, 65_536, 2_097_152])("encodes %d bytes as anybody reads them", (length) => {
  const data = Uint8Array.from({ length }, (_, index) => index % 251);
  const message = { connectionId: "proxy-1", data, end: true, receivedSizeBytes: 2n ** 40n };
  const encoded = encodeDataMessage(TunnelRequestSchema, message, { roomBytes: 5 });
  expect(fromBinary(TunnelRequestSchema, Uint8Array.from(encoded.subarray(5)))).toEqual(
    create(TunnelRequestSchema, message),
  );
});

test("encodes a message that holds nothing as nothing", () => {
  expect(encodeDataMessage(TunnelResponseSchema, {})).toHaveLength(0);
});

test("knows which messages have bytes", () => {
  expect(isDataMessage(TunnelResponseSchema)).toBe(true);
  expect(isDataMessage(GetAgentInfoResponseSchema)).toBe(false);
});
