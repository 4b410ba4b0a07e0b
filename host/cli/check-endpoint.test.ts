import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startScriptedModel } from "../../test/model/scripted-model.ts";
import { checkEndpoint } from "./check-endpoint.ts";

const signal = new AbortController().signal;
const KEY = { kind: "api-key", value: "sk-ant-test" } as const;
let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let seen: { line: string; key: unknown; body: string }[];
let endpoint: URL;

beforeEach(async () => {
  seen = [];
  server = createServer((request, response) => {
    void text(request).then((body) => {
      seen.push({ line: `${request.method} ${request.url}`, key: request.headers["x-api-key"], body });
      answer(request, response);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  endpoint = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/gateway/`);
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const JSON_TYPE = { "content-type": "application/json", server: "gate" };

test.each<[number, Record<string, string>, boolean, string]>([
  [400, JSON_TYPE, true, "answers and takes the credential"],
  [422, JSON_TYPE, true, "answers and takes the credential"],
  [429, JSON_TYPE, true, "answers, and is busy"],
  [529, JSON_TYPE, true, "answers, and is busy"],
  [401, JSON_TYPE, false, "refuses the api-key."],
  [403, JSON_TYPE, false, "refuses the api-key."],
  [404, JSON_TYPE, false, "has no Messages API at http://127.0.0.1"],
  [405, { "content-type": "text/html" }, false, "has no Messages API at http://127.0.0.1"],
  [200, { "content-type": "text/html" }, false, "answers, but not as the Messages API does."],
  [302, { location: "https://login.example/" }, false, "redirects to https://login.example/, which is not followed."],
  [503, JSON_TYPE, false, "answers, and fails."],
])("an endpoint that answers %i %j is ok: %s", async (status, headers, ok, says) => {
  answer = (_request, response) => response.writeHead(status, headers).end("{}");
  const finding = await checkEndpoint(endpoint, KEY, { signal });
  expect(finding).toMatchObject({ subject: "model", ok, message: expect.stringContaining(says) });
  // The request is one that nobody can answer: of an endpoint that is well it says nothing.
  expect(finding.message.includes(`status ${status}`)).toBe(!ok);
  expect(finding.help === undefined).toBe(ok);
  expect(seen).toEqual([{ line: "POST /gateway/v1/messages", key: KEY.value, body: "{}" }]);
});

test("an endpoint that is not there, or does not answer, is named with the reason", async () => {
  answer = () => {};
  const slow = await checkEndpoint(endpoint, KEY, { signal, timeoutMs: 100 });
  expect(slow).toMatchObject({ ok: false, message: `${endpoint.host} is not reached: no answer within 0.1 s.` });
  const gone = await checkEndpoint(new URL("http://127.0.0.1:1"), KEY, { signal });
  expect(gone).toMatchObject({ ok: false, message: "127.0.0.1:1 is not reached: nothing listens at 127.0.0.1:1." });
});

test("without a credential an endpoint that asks for one is well", async () => {
  answer = (_request, response) => response.writeHead(401, JSON_TYPE).end("{}");
  expect(await checkEndpoint(endpoint, undefined, { signal })).toMatchObject({ ok: true });
  expect(seen[0]?.key).toBeUndefined();
});

test("costs nothing", async () => {
  await using model = await startScriptedModel({ key: "k" });
  const credential = { kind: "api-key", value: "k" } as const;
  expect(await checkEndpoint(new URL(model.url), credential, { signal })).toMatchObject({ ok: true });
  const wrong = { kind: "api-key", value: "w" } as const;
  expect(await checkEndpoint(new URL(model.url), wrong, { signal })).toMatchObject({ ok: false });
});
