import { expect, test } from "vitest";
import { quotePath } from "../../proto/index.ts";
import { pathText } from "./path-text.ts";

/** As an agent tells it: the bytes of the name, quoted as git does. */
const quoted = (name: string) => quotePath(Buffer.from(name).toString("latin1"));

test.each(["größe.txt", "docs/отчёт.md", "資料/１.txt", "❤️ notes.txt", "a b  c.txt", "naïve", "-x"])(
  "shows a name as it is: %s",
  (name) => expect(pathText(quoted(name))).toBe(name),
);

test.each([
  ["a\nstate  succeeded", String.raw`"a\nstate  succeeded"`],
  ['"größe"\\', String.raw`"\"größe\"\\"`],
  ["exe.\u202ecod", String.raw`"exe.\342\200\256cod"`],
  ["a\u2028b\x1b[2J\x9b", String.raw`"a\342\200\250b\033[2J\302\233"`],
  ["sr\u200bc/größe", String.raw`"sr\342\200\213c/größe"`],
  ["src\u2215main.ts", String.raw`"src\342\210\225main.ts"`],
  ["a\u00a0b", String.raw`"a\302\240b"`],
  ["Ωmega", String.raw`"\316\251mega"`],
  ["p\u0430ypal.ts", String.raw`"p\320\260ypal.ts"`],
])("keeps escaped what poses as something else: %j", (name, shown) => {
  expect(pathText(quoted(name))).toBe(shown);
  // Whatever the container calls git's form.
  expect(pathText(name.startsWith('"') ? quoted(name) : name)).toBe(shown);
});

test("keeps a name that is no text as git writes it, and shows no line but one of what is not git's", () => {
  expect(pathText(String.raw`"a\377b"`)).toBe(String.raw`"a\377b"`);
  expect(pathText('"a\nstate')).toBe(String.raw`"\"a\nstate"`);
  expect(pathText('"\ud83d')).not.toContain("\ud83d");
});
