import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ListSessionsRequestSchema } from "../../proto/control.ts";
import { openBrowser } from "../support/browser.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { makeHostDirectories, type TestDirectories } from "../support/host-directories.ts";
import { openPage } from "../support/page.ts";

const CALL = "/claudecluster.control.v1alpha1.SessionService/ListSessions";
const HOST_CALLS = "/claudecluster.control.v1alpha1.HostService/";

const stack = new AsyncDisposableStack();
let place: TestDirectories;
let browser: Browser;
let origin: string;
/** What a signed in page sends with a call. */
let own: Record<string, string>;
beforeAll(async () => {
  place = stack.use(await makeHostDirectories());
  await place.configure({});
  const url = await openedUrl();
  origin = url.origin;
  own = await signIn(url);
  browser = stack.use(await openBrowser());
});
afterAll(() => stack.disposeAsync());

async function openedUrl(): Promise<URL> {
  const { stdout } = await claudecluster(place, ["ui", "--no-open"]);
  return new URL(stdout.trim());
}

const codeOf = (url: URL) => JSON.stringify({ code: url.hash.slice("#code=".length) });
const signInHeaders = () => ({ origin, "sec-fetch-site": "same-origin", "content-type": "application/json" });

async function signIn(url: URL): Promise<Record<string, string>> {
  const answer = await send("/sign-in", { headers: signInHeaders(), body: codeOf(url) });
  expect(answer.status, answer.body).toBe(200);
  const { key } = JSON.parse(answer.body) as { key: string };
  const cookie = answer.headers["set-cookie"]![0]!.split(";")[0]!;
  return { ...signInHeaders(), "content-type": "application/proto", cookie, "x-claudecluster-key": key };
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Sends any request, as a program does and a browser does not. A header that is undefined is left out. */
async function send(
  path: string,
  options: { method?: string; headers: Record<string, string | undefined>; body?: string | Uint8Array },
): Promise<Answer> {
  const { method = "POST", body = toBinary(ListSessionsRequestSchema, create(ListSessionsRequestSchema)) } = options;
  const headers = Object.entries(options.headers).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const sent = request(`${origin}${path}`, { method, headers: Object.fromEntries(headers) });
  sent.setHeader("content-length", Buffer.byteLength(body));
  sent.end(body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return { status: answer.statusCode!, headers: answer.headers, body: await text(answer) };
}

test("a call as the page makes it is answered", async () => {
  expect(await send(CALL, { headers: own })).toMatchObject({ status: 200, body: "" });
});

test("calls that another page, another name or another program makes are refused", async () => {
  const { port } = new URL(origin);
  const other = await signIn(await openedUrl());
  const name = own["cookie"]!.split("=")[0]!;
  const attacks: [what: string, change: Record<string, string | undefined>, status: number][] = [
    ["no origin", { origin: undefined }, 403],
    ["a sandboxed or local page's origin", { origin: "null" }, 403],
    ["another site", { origin: "https://evil.example" }, 403],
    ["another port of this machine", { origin: "http://127.0.0.1:1" }, 403],
    ["https in front of it", { origin: origin.replace("http:", "https:") }, 403],
    ["another name of this machine", { origin: `http://localhost:${port}` }, 403],
    ["a page of the same site", { "sec-fetch-site": "same-site" }, 403],
    ["a page of another site", { "sec-fetch-site": "cross-site" }, 403],
    ["a navigation", { "sec-fetch-site": "none" }, 403],
    ["a name that leads here", { host: `evil.example:${port}`, origin: `http://evil.example:${port}` }, 403],
    ["a name below localhost", { host: `evil.localhost:${port}`, origin: `http://evil.localhost:${port}` }, 403],
    ["a name that looks like an address", { host: `127.0.0.1.evil.example:${port}` }, 403],
    ["what a form can send", { "content-type": "text/plain" }, 415],
    ["what a form sends", { "content-type": "application/x-www-form-urlencoded" }, 415],
    ["gRPC", { "content-type": "application/grpc+proto" }, 415],
    ["gRPC-web", { "content-type": "application/grpc-web+proto" }, 415],
    ["no type", { "content-type": undefined }, 415],
    ["no cookie", { cookie: undefined }, 401],
    ["a guessed cookie", { cookie: `${name}=${"A".repeat(43)}` }, 401],
    ["two cookies", { cookie: `${own["cookie"]}; ${name}=x` }, 401],
    ["another browser's cookie", { cookie: other["cookie"] }, 401],
    ["no key, as with a cookie that another port was sent", { "x-claudecluster-key": undefined }, 401],
    ["a guessed key", { "x-claudecluster-key": "A".repeat(43) }, 401],
    [
      "a bearer token in their place",
      { cookie: undefined, authorization: `Bearer ${own["x-claudecluster-key"]}` },
      401,
    ],
  ];
  for (const [what, change, status] of attacks) {
    const answer = await send(CALL, { headers: { ...own, ...change } });
    expect({ what, status: answer.status }).toEqual({ what, status });
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
  }
  for (const method of ["GET", "HEAD", "PUT", "OPTIONS", "DELETE"]) {
    const { status } = await send(`${CALL}?connect=v1&encoding=json&message=%7B%7D`, {
      method,
      headers: own,
      body: "",
    });
    expect({ method, status }).toEqual({ method, status: 405 });
  }
});

test("HTTP/2 without a host header is refused", async () => {
  const session = connect(origin);
  const stream = session.request({ ...own, ":method": "POST", ":path": CALL });
  stream.end();
  const [headers] = (await once(stream, "response")) as [{ ":status": number }];
  expect(headers[":status"]).toBe(403);
  session.destroy();
});

test("the page may neither let others in nor end the host", async () => {
  for (const call of ["OpenPage", "ClosePage", "StopHost"]) {
    const answer = await send(`${HOST_CALLS}${call}`, { headers: own, body: "" });
    expect({ call, status: answer.status, body: answer.body }).toMatchObject({
      call,
      status: 403,
      body: expect.stringContaining("permission_denied") as string,
    });
  }
  for (const path of ["/grpc.health.v1.Health/Check", "/metrics", "/healthz", "/../package.json", "/..%2fmain.js"]) {
    expect({ path, status: (await send(path, { headers: own })).status }).toEqual({ path, status: 404 });
  }
});

test("a code counts once, and only as the page sends it", async () => {
  const url = await openedUrl();
  const swap = (change: Record<string, string | undefined>, body = codeOf(url)) =>
    send("/sign-in", { headers: { ...signInHeaders(), ...change }, body });
  expect((await swap({ origin: "https://evil.example" })).status).toBe(403);
  expect((await swap({ "content-type": "text/plain" })).status).toBe(415);
  expect((await swap({ host: "evil.example" })).status).toBe(403);
  expect((await swap({}, JSON.stringify({ code: "A".repeat(22) }))).status).toBe(401);
  expect((await swap({}, codeOf(url).padEnd(100_000))).status).toBe(401);
  expect((await swap({}, "{")).status).toBe(401);
  const asked = await send(`/sign-in?code=${url.hash.slice(6)}`, { method: "GET", headers: signInHeaders(), body: "" });
  expect(asked.status).toBe(405);
  expect((await swap({})).status).toBe(200);
  expect((await swap({})).status).toBe(401);
});

const AS_ANOTHER_USER = `
process.setgid(65534); process.setuid(65534);
const [, origin, body] = process.argv;
const headers = { origin, "sec-fetch-site": "same-origin", "content-type": "application/json" };
const sent = require("node:http").request(origin + "/sign-in", { method: "POST", headers });
sent.on("response", ({ statusCode }) => { console.log(statusCode); process.exit(); }).end(body);`;

// Only root can be somebody else.
if (process.getuid?.() === 0)
  test("a code that another user reads in a command line is of no use to them, and still lets its own browser in", async () => {
    const url = await openedUrl();
    const child = spawn(process.execPath, ["-e", AS_ANOTHER_USER, origin, codeOf(url)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    expect(await text(child.stdout)).toBe("403\n");
    await signIn(url);
  });

test("another page in the same browser cannot frame it, call it, or learn its key", async () => {
  await using opened = await openPage(place, browser);
  // Signed in.
  await expect.poll(() => opened.page.context().cookies()).toHaveLength(1);
  const stolen: (string | undefined)[] = [];
  const evil = createServer(({ headers, url }, answer) => {
    if (url === "/") stolen.push(headers.cookie);
    answer.setHeader("content-type", "text/html").end(`<iframe src="${origin}/"></iframe>`);
  });
  await new Promise<void>((resolve) => evil.listen(0, "127.0.0.1", resolve));
  const page = await opened.page.context().newPage();
  const refused: string[] = [];
  page.on("console", (message) => refused.push(message.text()));
  await page.goto(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`);
  await expect.poll(() => refused.join("\n")).toContain("frame-ancestors 'none'");
  expect(await page.frames()[1]!.locator("cc-page").count()).toBe(0);
  // Cookies know no ports: that is why there is a key.
  expect(stolen[0]).toMatch(/^claudecluster-\d+=[\w-]{43}$/);
  expect(await page.evaluate("localStorage.length")).toBe(0);
  const call = (mode: string) =>
    page.evaluate<string>(`fetch("${origin}${CALL}", {
      method: "POST", mode: "${mode}", credentials: "include", body: "",
      ${mode === "cors" ? `headers: { "content-type": "application/proto", "x-claudecluster-key": "x" }` : ""}
    }).then(({ type, status }) => type + " " + status, String)`);
  expect(await call("cors")).toBe("TypeError: Failed to fetch");
  expect(await call("no-cors")).toBe("TypeError: Failed to fetch");
  const answer = await send(CALL, { headers: { ...own, cookie: stolen[0], "x-claudecluster-key": undefined } });
  expect(answer.status).toBe(401);
  await page.close();
  evil.close();
  evil.closeAllConnections();
});
