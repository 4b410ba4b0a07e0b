import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { extended, helloOf } from "../../support/client-hello.ts";
import type { Probe } from "./probe.ts";
import type { Targets } from "./targets.ts";

// The three gates, from inside, byte by byte: clients would not send most of this. Where there are no gates, connections
// that these would refuse go straight to where they lead.

const ANSWER_MS = 3_000;
/** Longer than it takes to close one of too many. */
const HOLD_MS = 20_000;
/** In everything that must not come out: the test looks for it on the other side. */
export const MARK = "attacker-7c1f";

const portOf = (variable: string) => Number(new URL(process.env[variable] ?? "http://127.0.0.1:9").port);
const GIT_PORT = 9418;

/** Sends bytes and returns what comes back until the other end closes, or `enough` has come. */
function exchange(port: number, bytes: string, enough?: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    let answer = "";
    const end = () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ANSWER_MS, end);
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1");
      if (enough?.test(answer) === true) end();
    });
    socket.on("close", end).on("error", reject);
    socket.write(Buffer.from(bytes, "latin1"));
  });
}

const HEAD = /\r\n\r\n/;
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
const isFine = (answer: string) => statusOf(answer) >= 200 && statusOf(answer) < 300;
const http = (head: string, ...headers: string[]) =>
  [`${head} HTTP/1.1`, "host: x", "connection: close", ...headers, "", ""].join("\r\n");

/** A connection through the proxy; undefined if it is refused. Without a proxy: straight there. */
function tunnel(authority: string): Promise<ReturnType<typeof connect> | undefined> {
  const direct = process.env["HTTPS_PROXY"] === undefined;
  const colon = authority.lastIndexOf(":");
  const there = { host: authority.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(authority.slice(colon + 1)) };
  return new Promise((resolve, reject) => {
    const socket = connect(direct ? there : { host: "127.0.0.1", port: portOf("HTTPS_PROXY") });
    const refused = () => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(ANSWER_MS, refused).once("error", reject).once("close", refused);
    if (direct) socket.once("connect", () => resolve(socket));
    else {
      socket.write(Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nhost: x\r\n\r\n`, "latin1"));
      socket.once("data", (head: Buffer) => (isFine(head.toString()) ? resolve(socket) : refused()));
    }
  });
}

const connects = async (authority: string) => {
  const socket = await tunnel(authority);
  socket?.destroy();
  return socket !== undefined;
};

async function speaksTls(authority: string, servername: string | undefined): Promise<boolean> {
  const socket = await tunnel(authority);
  if (socket === undefined) return false;
  return new Promise((resolve) => {
    const client = connectTls({
      socket,
      rejectUnauthorized: false,
      ...(servername !== undefined && { servername }),
    });
    const end = (worked: boolean) => {
      socket.destroy();
      resolve(worked);
    };
    client.once("secureConnect", () => end(true)).once("error", () => end(false));
    client.once("close", () => end(false));
  });
}

/** Whether what a client says first is answered by a server's hello. */
async function isGreeted(authority: string, hello: Buffer): Promise<boolean> {
  const socket = await tunnel(authority);
  if (socket === undefined) return false;
  return new Promise((resolve) => {
    socket.once("data", ([type]: Buffer) => resolve(type === 22)).once("close", () => resolve(false));
    socket.write(hello);
  }).finally(() => socket.destroy()) as Promise<boolean>;
}

const SERVER_NAME = 0;
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;
/** Hellos that ask for one name before the proxy, and perhaps for another behind it. */
const HELLOS: readonly (readonly [string, string, () => Promise<Buffer>])[] = [
  [
    "hide a name in an encrypted hello",
    "the name that is asked for is the one that was looked at",
    async () => extended(await helloOf(undefined), ENCRYPTED_CLIENT_HELLO, Buffer.alloc(200, 7)),
  ],
  [
    "ask for two names in two lists",
    "the first and the last are one",
    async () => extended(await helloOf("a.example"), SERVER_NAME, Buffer.from([0, 4, 0, 0, 1, 98])),
  ],
  [
    "ask for another name in a second hello",
    "what is asked again is looked at again",
    async () => Buffer.concat([await helloOf(undefined), await helloOf(`${MARK}.example`)]),
  ],
];

async function speaksPlainly(authority: string): Promise<boolean> {
  const socket = await tunnel(authority);
  if (socket === undefined) return false;
  return new Promise((resolve) => {
    socket.once("data", () => resolve(true)).once("close", () => resolve(false));
    socket.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  }).finally(() => socket.destroy()) as Promise<boolean>;
}

/** Host and port are the list's, to the letter; a name leads to no private address. */
const FORBIDDEN = [
  ["127.0.0.1:22", "no service of the host's own"],
  ["localhost:2375", "no engine"],
  ["[::1]:22", "no service of the host's own"],
  ["0.0.0.0:22", "no service of the host's own"],
  ["169.254.169.254:80", "no credentials of the machine's cloud"],
  ["metadata.google.internal:80", "no credentials of the machine's cloud"],
  ["172.17.0.1:22", "no gateway of the engine's"],
  ["host.docker.internal:22", "no gateway of the engine's"],
  ["10.0.0.1:443", "no private networks"],
  ["192.168.1.1:80", "no private networks"],
  ["example.com:443", "no host that nobody listed"],
  ["api.anthropic.com:443", "no way to the model round the gate"],
  ["github.com:443", "no way to git's servers round the gate"],
  ["2130706433:22", "no address in other clothes"],
  ["0x7f000001:22", "no address in other clothes"],
  ["017700000001:22", "no address in other clothes"],
  ["127.1:22", "no address in other clothes"],
  ["[::ffff:127.0.0.1]:22", "no address in other clothes"],
  ["[::ffff:7f00:1]:22", "no address in other clothes"],
  ["127.0.0.1.:22", "no address in other clothes"],
  ["registry.npmjs.org:22", "a listed host is listed with its port"],
  ["registry.npmjs.org:80", "a listed host is listed with its port"],
  ["xregistry.npmjs.org:443", "no name that ends like a listed one"],
  ["x.registry.npmjs.org:443", "no name below a listed one"],
  ["registry.npmjs.org.example.com:443", "no name that begins like a listed one"],
  ["npmjs.org:443", "no name above a listed one"],
  ["registry.npmjs.org", "no destination without a port"],
  ["registry.npmjs.org:443:22", "one port"],
  ["registry.npmjs.org:443@127.0.0.1:22", "nothing around host and port"],
  ["registry.npmjs.org@127.0.0.1:22", "nothing around host and port"],
  ["127.0.0.1:22#registry.npmjs.org:443", "nothing around host and port"],
  ["http://registry.npmjs.org:443", "nothing around host and port"],
  ["127.0.0.1:22\0.registry.npmjs.org:443", "no byte that ends a name early"],
  ["registry.npmjs.org\u00a0:443", "no letters that somebody else reads as others"],
  ["%72egistry.npmjs.org:443", "nothing is decoded"],
  ["*:443", "a list, no patterns"],
  ["registry.npmjs.org:65979", "a port is not cut to sixteen bits"],
] as const;

/** What goes over plain HTTP. */
const PLAIN = [
  ["POST http://deb.debian.org/", "nothing is uploaded in the open"],
  ["PUT http://deb.debian.org/", "nothing is uploaded in the open"],
  ["DELETE http://deb.debian.org/", "nothing is uploaded in the open"],
  ["TRACE http://deb.debian.org/", "only reading"],
  ["GET http://127.0.0.1/", "no service of the host's own"],
  ["GET http://169.254.169.254/latest/meta-data/", "no credentials of the machine's cloud"],
  ["GET http://deb.debian.org@127.0.0.1/", "nothing around host and port"],
  ["GET https://registry.npmjs.org/", "the host ends nobody's TLS"],
  ["GET file:///etc/passwd", "no files of the host"],
  ["GET ftp://deb.debian.org/", "no other protocols"],
  ["GET /", "a proxy is no server"],
  ["OPTIONS *", "a proxy is no server"],
] as const;

const PATHS = [
  "GET /v1/models",
  "GET /v1/messages",
  "GET /v1/files",
  "POST /v1/files",
  "POST /v1/skills",
  "POST /v1/complete",
  "GET /v1/organizations/me",
  "GET /v1/organizations/api_keys",
  "POST /v1/messages/batches",
  "POST /v1/messages/",
  "POST /V1/messages",
  "POST //v1/messages",
  "POST /v1/messages/../files",
  "POST /v1/messages/..%2ffiles",
  "POST /v1/messages%2f..%2ffiles",
  "POST /v1/messages\\..\\..\\files",
  "POST /v1/messages;x=/../files",
  "POST /v1/messages/count_tokens/../../files",
  "POST http://example.com/v1/messages",
  "POST @example.com/v1/messages",
  "PUT /v1/messages",
  "DELETE /v1/messages",
  "POST /v1/oauth/token",
  "POST /api/event_logging/v2/batch",
] as const;

const text = { type: "text", text: MARK };
const url = { source: { type: "url", url: `https://${MARK}.example` } };
const BODIES: readonly (readonly [string, string, object])[] = [
  ["a web search", "the API does not go out instead", { tools: [{ type: "web_search_20250305", name: "web_search" }] }],
  ["a web fetch", "the API does not go out instead", { tools: [{ type: "web_fetch_20250910", name: "web_fetch" }] }],
  ["code execution", "nothing runs elsewhere", { tools: [{ type: "code_execution_20250825", name: "x" }] }],
  [
    "code execution by a shell",
    "nothing runs elsewhere",
    { tools: [{ type: "bash_code_execution_20250825", name: "x" }] },
  ],
  [
    "code execution by an editor",
    "nothing runs elsewhere",
    { tools: [{ type: "text_editor_code_execution_1", name: "x" }] },
  ],
  ["a bare file", "no files of the account", { messages: [ask({ type: "image", file_id: MARK })] }],
  [
    "an upload to a container",
    "no files of the account",
    { messages: [ask({ type: "container_upload", file_id: MARK })] },
  ],
  ["a list of sources", "the API fetches nothing", { messages: [ask({ type: "image", source: [url.source] })] }],
  [
    "a source that is an address",
    "the API fetches nothing",
    { messages: [ask({ type: "image", source: url.source.url })] },
  ],
  ["a block of no known type", "new blocks are refused until they are known", { messages: [ask({ type: "new_1" })] }],
  [
    "a call of a tool of the API's",
    "nothing is taken up elsewhere",
    { messages: [ask({ type: "server_tool_use", name: "web_fetch" })] },
  ],
  ["a tool of no known type", "new tools of the API are refused until they are known", { tools: [{ type: "new_1" }] }],
  ["tools that are no list", "nothing is passed on unread", { tools: { 0: { type: "web_search_20250305" } } }],
  ["an MCP server", "the API connects to nobody", { mcp_servers: [{ type: "url", url: `https://${MARK}.example` }] }],
  ["a container", "nothing runs elsewhere", { container: "x" }],
  ["an image by its URL", "the API fetches nothing", { messages: [ask({ type: "image", ...url })] }],
  ["a document by its URL", "the API fetches nothing", { messages: [ask({ type: "document", ...url })] }],
  [
    "a file of the user's",
    "no files of the account",
    { messages: [ask({ type: "document", source: { type: "file", file_id: MARK } })] },
  ],
  [
    "an image by its URL in a tool's result",
    "however deep it is",
    { messages: [ask({ type: "tool_result", tool_use_id: "x", content: [{ type: "image", ...url }] })] },
  ],
  ["a billion tokens", "an answer is bounded", { max_tokens: 1e9 }],
  ["a body nested without end", "the host's stack is not the container's", { messages: nested(5_000) }],
  ["a list", "a body is an object", []],
];

function ask(...content: object[]): object {
  return { role: "user", content: [text, ...content] };
}

function nested(depth: number): unknown {
  let value: unknown = "x";
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

const marked = { metadata: { user_id: MARK } };
const plainBody = { model: "claude-x", max_tokens: 16, messages: [{ role: "user", content: "hello" }] };

function messages(body: string, ...headers: string[]): Promise<string> {
  const length = `content-length: ${Buffer.byteLength(body)}`;
  const usual = ["content-type: application/json", "anthropic-version: 2023-06-01", length];
  const head = http("POST /v1/messages", ...usual, ...headers);
  return exchange(portOf("ANTHROPIC_BASE_URL"), head + body);
}

const chunked = "transfer-encoding: chunked";
const second = http(`GET /v1/files?${MARK}`);
/** Requests in which two readers may see different ends. */
const SMUGGLED: readonly (readonly [string, string])[] = [
  [
    "behind a length that chunks overrule",
    `${http("POST /v1/messages", "content-length: 4", chunked)}0\r\n\r\n${second}`,
  ],
  ["behind two lengths", `${http("POST /v1/messages", "content-length: 2", "content-length: 40")}{}${second}`],
  ["behind a name with a space", `${http("POST /v1/messages", "transfer-encoding : chunked")}0\r\n\r\n${second}`],
  ["behind an unknown encoding", `${http("POST /v1/messages", "transfer-encoding: xchunked")}0\r\n\r\n${second}`],
  ["behind a folded line", `${http("POST /v1/messages", "x: y\r\n transfer-encoding: chunked")}0\r\n\r\n${second}`],
  ["behind a length with a sign", `${http("POST /v1/messages", "content-length: +2")}{}${second}`],
  ["behind a chunk of a bad size", `${http("POST /v1/messages", chunked)}0x2\r\n{}\r\n0\r\n\r\n${second}`],
  ["behind a line's end alone", `POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: 2\n\n{}${second}`],
  ["in a header's value", http("POST /v1/messages", `anthropic-version: 1\r\r\nx-api-key: ${MARK}`)],
  ["behind an upgrade", `${http("POST /v1/messages", "upgrade: h2c", "connection: upgrade")}${second}`],
  ["by CONNECT at the model's gate", `CONNECT ${MARK}:443 HTTP/1.1\r\nhost: x\r\n\r\n`],
];

/** Requests to git's gate. */
const gitPaths = (host: Targets["host"]) => {
  const refs = "info/refs?service=git-upload-pack";
  return [
    [`GET /http/127.0.0.1:${host.port}/x.git/${refs}`, "no server but the repository's"],
    [`GET /http/127.0.0.1:${host.port}/`, "git's gate is no proxy"],
    [`GET /http/169.254.169.254/latest.git/${refs}`, "no credentials of the machine's cloud"],
    [`GET /https/github.com/a/b.git/${refs}`, "no server but the repository's"],
    [`GET /file/etc/passwd/${refs}`, "no files of the host"],
    [`GET /ext/sh/${refs}`, "git's gate runs nothing"],
    [`GET http://127.0.0.1:${host.port}/x.git/${refs}`, "git's gate is no proxy"],
    ["CONNECT 127.0.0.1:22", "git's gate is no proxy"],
    ["GET /lfs/00000000-0000-0000-0000-000000000000", "places of LFS objects are not guessed"],
    ["GET /", "git's gate is no server"],
  ] as const;
};

/** Opens many connections at once and holds them; true if none of them is closed. */
async function holds(count: number): Promise<boolean> {
  const target = { host: "127.0.0.1", port: portOf("ANTHROPIC_BASE_URL") };
  const sockets = Array.from({ length: count }, () => connect(target).on("error", () => {}));
  const closed = sockets.map((socket) => new Promise<false>((resolve) => socket.once("close", () => resolve(false))));
  const held = new Promise<true>((resolve) => setTimeout(resolve, HOLD_MS, true).unref());
  const worked = await Promise.race([...closed, held]);
  for (const socket of sockets) socket.destroy();
  return worked;
}

/** What the gates let through of what Claude may not. */
export function gateProbes({ host, tls }: Targets): Probe[] {
  const model = () => portOf("ANTHROPIC_BASE_URL");
  // All at once: where there is no proxy, many only end by their timeout.
  const tryAll = () => FORBIDDEN.map(([authority]) => connects(authority).catch(() => false));
  let tried: Promise<boolean>[] | undefined;
  return [
    ...FORBIDDEN.map(([authority, proves], index) => ({
      name: `CONNECT ${JSON.stringify(authority).slice(1, -1)}`,
      proves,
      attempt: () => (tried ??= tryAll())[index]!,
    })),
    {
      name: "CONNECT to a listed name that is this machine's",
      proves: "a name on the list is no way to private addresses",
      attempt: () => connects(`localhost:${host.port}`),
    },
    {
      name: "ask a listed host for another name",
      proves: "an address on the list is no way to its neighbours",
      attempt: () => speaksTls(tls, `${MARK}.example`),
    },
    ...HELLOS.map(([name, proves, hello]) => ({
      name,
      proves,
      attempt: async () => isGreeted(tls, await hello()),
    })),
    {
      name: "talk TLS to a listed host",
      proves: "what is listed is let through, so that the others' failures mean something",
      attempt: () => speaksTls(tls, undefined),
    },
    {
      name: "talk without TLS on port 443",
      proves: "the name in TLS is not walked around",
      attempt: () => speaksPlainly("registry.npmjs.org:443"),
    },
    ...PLAIN.map(([line, proves]) => ({
      name: `plain ${line}`,
      proves,
      attempt: async () => isFine(await exchange(portOf("HTTPS_PROXY"), http(line, "content-length: 0"), HEAD)),
    })),
    ...PATHS.map((line) => ({
      name: `model ${line}`,
      proves: "the key opens nothing but messages",
      attempt: async () => isFine(await exchange(model(), http(line, "content-length: 0"))),
    })),
    ...BODIES.map(([name, proves, body]) => ({
      name: `model with ${name}`,
      proves,
      attempt: async () =>
        isFine(await messages(JSON.stringify(Array.isArray(body) ? body : { ...plainBody, ...marked, ...body }))),
    })),
    ...SMUGGLED.map(([name, bytes]) => ({
      name: `smuggle a request ${name}`,
      proves: "one request in is one request out",
      attempt: async () => isFine(await exchange(model(), bytes)),
    })),
    // Of the next two the test sees more: what came out. Here they have worked if nothing was passed on, which proves nothing.
    {
      name: "send a member twice",
      proves: "what was looked at is what is sent",
      attempt: async () => {
        const tools = JSON.stringify([{ type: "web_search_20250305", name: MARK }]);
        return !isFine(await messages(`{"tools":${tools},"tools":[],${JSON.stringify(plainBody).slice(1)}`));
      },
    },
    {
      name: "bring a key",
      proves: "nothing goes to another account",
      attempt: async () => {
        const own = [
          `x-api-key: ${MARK}`,
          `authorization: Bearer ${MARK}`,
          `cookie: ${MARK}`,
          `x-forwarded-for: ${MARK}`,
        ];
        const betas = `anthropic-beta: code-execution-${MARK},mcp-client-${MARK}`;
        return !isFine(await messages(JSON.stringify({ ...plainBody, extra: MARK }), ...own, betas, "x-api-key: z"));
      },
    },
    {
      name: "ask the model as Claude does",
      proves: "what is allowed is let through, so that the others' failures mean something",
      attempt: async () => isFine(await messages(JSON.stringify(plainBody))),
    },
    {
      name: "hold 1100 connections",
      proves: "a session's connections are bounded",
      attempt: () => holds(1_100),
    },
    ...gitPaths(host).map(([line, proves]) => ({
      name: `git ${line.replace(String(host.port), "PORT")}`,
      proves,
      attempt: async () => isFine(await exchange(GIT_PORT, http(line))),
    })),
  ];
}
