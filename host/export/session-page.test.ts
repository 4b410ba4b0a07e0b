import { expect, test } from "vitest";
import { EVENT_KINDS, hostileEvent, hostileMessage } from "../../test/support/hostile-message.ts";
import {
  SessionResultSchema,
  SessionSchema,
  type Session,
  type SessionResult,
  Session_State,
} from "../../proto/index.ts";
import { EMPTY_PATCH, summarizeSession } from "../present/session-summary.ts";
import { diffHtml } from "./diff.ts";
import { Feed } from "./feed.ts";
import { maskSecrets, secretValues } from "./mask-secrets.ts";
import { sessionPage } from "./session-page.ts";

const HOSTILE = `</pre></title></style><script>evil()</script><img src=x onerror=evil()>"'&\u202e\u0007\u200b\nsk-ant-api03-${"x".repeat(40)}`;

test("whatever a container says is text, hides nothing, and no secret by its looks comes through", () => {
  for (let choice = 0; choice < 4; choice++) {
    const session = hostileMessage(SessionSchema, choice, HOSTILE) as Session;
    session.state = Session_State.FAILED;
    session.result = hostileMessage(SessionResultSchema, choice, HOSTILE) as SessionResult;
    session.phaseTimings = [];
    delete session.result.elapsed;
    Object.assign(session, { createTime: undefined, startTime: undefined, endTime: undefined });
    const feed = new Feed();
    for (const index of EVENT_KINDS.keys()) {
      const event = hostileEvent(index, choice, HOSTILE);
      delete event.occurTime;
      feed.add(event);
    }
    const diff = diffHtml(`diff --git a/${HOSTILE} b/x\n@@ -1 +1 @@\n+${HOSTILE}\n`, { whole: true });
    const page = sessionPage({
      session,
      summary: summarizeSession(session, EMPTY_PATCH),
      answer: HOSTILE,
      feed: feed.html(),
      diff,
    });
    expect(page).not.toMatch(/<script|<img|onerror=evil\(\)>(?!&|$)|<\/title><\/style>/);
    expect(page.match(/<(?:style|main|h1)>/g)).toHaveLength(3);
    expect(page).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202e]/);
    expect(page).toContain('<b class="hidden">U+202E</b><b class="hidden">U+0007</b>');
    expect(page).not.toContain("sk-ant-api");
  }
});

test("an export has bounds, and says what is not in it", () => {
  const feed = new Feed();
  const said = hostileEvent(EVENT_KINDS.indexOf("assistantText"), 0, "long ".repeat(4000));
  delete said.occurTime;
  for (let count = 0; count < 1000; count++) feed.add(said);
  const list = feed.html().text;
  expect(list.length).toBeLessThan(4_500_000);
  expect(list).toMatch(/<p class="note">\d+ more are not in this file/);
  const file = (name: string) => `diff --git a/${name} b/${name}\n@@ -0,0 +1 @@\n${"+a line\n".repeat(3000)}`;
  const diff = diffHtml(Array.from({ length: 30 }, (_, index) => file(`f${index}`)).join(""), { whole: true }).text;
  expect(diff.match(/class="added"/g)!.length).toBeLessThan(20_000);
  expect(diff).toContain("more lines are not in this file");
  expect(diff).toContain("20 more files are not in this file");
  expect(diffHtml("", { whole: false }).text).toContain("More of the patch is not in this file");
});

test("a key that does not end hides no other file", () => {
  const patch = ["a", "b"].map(
    (name) => `diff --git a/${name} b/${name}\n@@ -0,0 +1 @@\n+-----BEGIN PRIVATE KEY-----\n+${name}\n`,
  );
  const { text } = diffHtml(patch.join(""), { whole: true });
  expect(text.match(/<summary>/g)).toHaveLength(2);
  expect(text.match(/\[secret-left-out\]/g)).toHaveLength(2);
});

test.each([
  "eyJ-",
  "eyJaaaaaaaaaaaa-",
  "eyJaaaaaaaaaa.eyJaaaaaaaaaa ",
  "x.eyJ",
  "-----BEGIN ",
  "-----BEGIN PRIVATE KEY-----",
  "https://a:b",
  "a://x:",
  "bearer ",
  "basic\t",
  "password=",
  "secret:  '",
  "sk-ant-",
  "ghp_",
  "sk-",
  "A_",
  "TOKEN",
  "_KEY",
  "api_key: ",
])("secrets are looked for in a long text of %j without hanging", (piece) => {
  const startMs = performance.now();
  maskSecrets(piece.repeat(Math.ceil(2_000_000 / piece.length)));
  expect(performance.now() - startMs).toBeLessThan(5_000);
});

test("secrets are known by their looks, or by what stands before them; other words stay", () => {
  const key = ["-----BEGIN OPENSSH PRIVATE KEY-----", "+abc", "+-----END OPENSSH PRIVATE KEY-----"].join("\n");
  for (const secret of [
    key,
    `ghp_${"a".repeat(36)}`,
    "AKIAABCDEFGHIJKLMNOP",
    `aws_secret_access_key = ${"a".repeat(40)}`,
    `+SECRET_KEY = 'abcdef${"a".repeat(40)}'`,
    `"refreshToken": "abcdef123456"`,
    "GITHUB_TOKEN=abcdef123456",
    "export DB_PASS_1='abcdef123456'",
    "STRIPE_KEY: abcdef123456",
    '"NPM_TOKEN": "abcdef123456"',
    `eyJhbcdefghijkl.eyJ${"a".repeat(40)}.${"a".repeat(40)}`,
    `token-eyJhbcdefghijkl.eyJ${"a".repeat(40)}.`,
    "Authorization: Bearer abcdefgh12345678",
    "https://user:hunter22@example.com/x",
    "password = 'correct horse'",
    '"api_key": "abcdef123456"',
  ]) {
    const masked = maskSecrets(`before ${secret} after`);
    expect(masked).toContain("[secret-left-out]");
    expect(masked).not.toMatch(/abc\n|hunter22|correct|abcdef|a{30}|ABCDEFGH/);
    expect(masked).toMatch(/^before .*after$/s);
  }
  const text =
    "The token was refreshed; see https://example.com:8080/a@b and basic things, skip-1. const MAX_TOKENS = 100000; TOKEN=7; a keyword: value1;";
  expect(maskSecrets(text)).toBe(text);
});

test("variables hold secrets by their names", () => {
  const secrets = { DB_PASSWORD: "a", token: "b", API_KEY_2: "c", KEY: "d", auth_token: "e", OTHER_PWD: "f" };
  const others = {
    PWD: "1",
    MAX_TOKENS: "2",
    MONKEY: "3",
    API_KEY_FILE: "4",
    NODE_ENV: "5",
    TOKEN_X: undefined,
    SECRET: "",
  };
  expect(secretValues({ ...others, ...secrets })).toEqual(Object.values(secrets));
});
