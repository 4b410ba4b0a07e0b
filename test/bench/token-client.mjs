// Asks a model for a streamed answer, and tells how long the first token took on its way. For each line on stdin, the size
// of a request in bytes: one line on stdout, the ms in which the request got there and those in which the token came back.
// Environment: ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY. Runs where Claude would.
import { Agent, request } from "node:http";
import { createInterface } from "node:readline";

const { ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: key } = process.env;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const headers = { "x-api-key": key, "content-type": "application/json", "anthropic-version": "2023-06-01" };

/**
 * A conversation of about that size, in pieces as Claude's are.
 * @param {number} bytes
 */
function body(bytes) {
  const content = Array.from({ length: Math.ceil(bytes / 1000) }, (_, index) => ({
    type: "text",
    text: `${index} `.padEnd(970, "lorem ipsum "),
  }));
  const messages = [{ role: "user", content }];
  return JSON.stringify({ model: "claude-sonnet-4-5", max_tokens: 1000, stream: true, messages });
}

/**
 * @param {string} content
 * @returns {Promise<string>}
 */
function ask(content) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const started = process.hrtime.bigint();
  const call = request(`${url}/v1/messages`, { method: "POST", agent, headers }, (answer) => {
    let text = "";
    /** @type {string | undefined} */
    let told;
    answer.on("data", (chunk) => {
      text += chunk;
      if (told !== undefined || !text.includes("text_delta")) return;
      const now = process.hrtime.bigint();
      const [, arrived = "", sent = ""] = /token (\d+) (\d+)/.exec(text) ?? [];
      told = `${Number(BigInt(arrived) - started) / 1e6} ${Number(now - BigInt(sent)) / 1e6}`;
    });
    answer.on("end", () => (told === undefined ? reject(new Error(text)) : resolve(told)));
  });
  call.on("error", reject).end(content);
  return promise;
}

for await (const line of createInterface({ input: process.stdin })) console.log(await ask(body(Number(line))));
