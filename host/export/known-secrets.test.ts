import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SessionEventSchema, SessionSchema } from "../../proto/index.ts";
import { html } from "./html.ts";
import { KnownSecrets } from "./known-secrets.ts";
import { maskSecrets } from "./mask-secrets.ts";

const MASK = "[secret-left-out]";

test("secrets that are known are left out of what is text, however it is written there", () => {
  const secrets = ['a"b<c>\\d', "correct horse", "correct horse battery", "padding", "short"];
  const said = html`${JSON.stringify(secrets)} ${secrets.join(" ")}`.text;
  const page = (text: string) => `<style>a { padding: 0 }</style><p class="padding">${text}</p>`;
  const mask = "[secret-left-out]";
  const list = [mask, mask, mask, mask, "short"];
  const json = JSON.stringify(list).replaceAll('"', "&quot;");
  expect(new KnownSecrets(secrets).outOfPage(page(said))).toBe(page(`${json} ${list.join(" ")}`));
});

test("a secret that is known goes whole where a part of it looks like one, too", () => {
  const known = new KnownSecrets(["correct horse battery", "secret", "hunter2hunter"]);
  const shown = (text: string) => known.outOfPage(html`${known.outOf(text)}`.text);
  expect(shown("DB_PASSWORD=correct horse battery")).toBe(`DB_PASSWORD=${MASK}`);
  expect(shown('password: "correct horse battery" secret')).toBe(`password: &quot;${MASK}&quot; ${MASK}`);
  expect(shown("password=my-hunter2hunter-more")).toBe(`password=${MASK}`);
  expect(shown("https://me:a-hunter2hunter-b@git.test/")).toBe(`https://me:${MASK}@git.test/`);
});

test("of a secret of several lines each line goes, but another key still looks like one", () => {
  const key = (body: string) => `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
  const known = new KnownSecrets([key("firstfirst\n  second+line\nab=="), "one two\r\nthree four\r\n"]);
  const patch = `+${key("other key").replaceAll("\n", "\n+")}\n+firstfirst\n+second+line\n+one two\n+three four`;
  expect(maskSecrets(known.outOf(patch))).toBe(`+${MASK}\n+\n+${MASK}\n+${MASK}\n+${MASK}\n+${MASK}`);
  expect(known.outOf(`a ${JSON.stringify("one two\r\nthree four")} b`)).toBe(`a "${MASK}" b`);
});

test("what hides in a secret does not let it through", () => {
  const known = new KnownSecrets(["correct horse", "with\u200bjoiner"]);
  for (const hidden of ["\u200b", "\u202e\u2066", "\0", "\r", "\ufe0f", "\u{e0041}"]) {
    expect(known.outOf(`a correct ho${hidden}rse, withj${hidden}oiner`)).toBe(`a ${MASK}, ${MASK}`);
  }
});

test("a message has its texts without secrets, and is the same otherwise", () => {
  const known = new KnownSecrets(["correct horse", "assistantText", "claudecluster"]);
  const event = create(SessionEventSchema, {
    sequence: 7n,
    event: { case: "assistantText", value: { text: "It is correct horse." } },
  } as never);
  const expected = structuredClone(event);
  Object.assign(expected.event.value as object, { text: `It is ${MASK}.` });
  expect(known.outOfAll(event)).toEqual(expected);
  const session = create(SessionSchema, { id: "ses_1", spec: { task: "a", environment: { A: "correct horse" } } });
  expect(known.outOfAll(session)).toEqual({ ...session, spec: { ...session.spec, environment: { A: MASK } } });
  expect(new KnownSecrets([]).outOfAll(session)).toEqual(session);
});
