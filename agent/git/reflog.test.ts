import { expect, test } from "vitest";
import { fetchedByNetwork, Remotes } from "./network-remotes.ts";
import { commitsOnce, fetchedCommits, parseReflog } from "./reflog.ts";

const id = (digit: string): string => digit.repeat(40);
const log = (...entries: [old: string, now: string, message: string][]): string =>
  entries.map(([old, now, message]) => `${id(old)} ${id(now)} Claude <a@b> 1700000000 +0000\t${message}\n`).join("");
const once = (...entries: Parameters<typeof log>): string =>
  [...commitsOnce(parseReflog(log(...entries)))].map((commit) => commit.charAt(0)).join("");

test("knows what was checked out once, without what an amended commit replaced", () => {
  expect(once(["0", "1", "commit (initial): a"], ["1", "2", "commit: b"], ["2", "3", "commit (amend): b"])).toBe("13");
  expect(once(["1", "2", "commit: b"], ["2", "1", "reset: moving to HEAD~1"])).toBe("12");
});

test("takes rebased commits for replaced once the rebase has finished, and its steps in any case", () => {
  const steps: Parameters<typeof log> = [
    ["1", "2", "commit: mine"],
    ["2", "3", "rebase (start): checkout main"],
    ["3", "4", "rebase (pick): mine"],
    ["4", "5", "rebase (squash): more"],
  ];
  expect(once(...steps)).toBe("12345");
  expect(once(...steps, ["5", "6", "rebase (finish): returning to refs/heads/x"])).toBe("136");
  expect(once(...steps, ["5", "2", "rebase (abort): returning to refs/heads/x"])).toBe("123");
  expect(once(["2", "3", "pull --rebase origin main (start): checkout abc"], ["3", "4", "pull --rebase origin main (finish): returning to refs/heads/x"])).toBe("34"); // prettier-ignore
});

const REMOTES = new Remotes(`remote.origin.url https://example.org/x
remote.near.url /tmp/c
remote.both.url git@example.org:x
remote.both.url file:///tmp/c
`);

test("knows what was fetched over the network", () => {
  const text = log(
    ["0", "1", "clone: from https://example.org/x"],
    ["1", "2", "commit: fetch: storing head"],
    ["2", "3", "pull origin main: Fast-forward"],
    ["0", "4", "fetch -q origin topic:topic: storing head"],
    ["3", "5", "pull: Merge made by the 'ort' strategy."],
    ["0", "6", "fetch --depth 1 ssh://git@example.org/x topic:topic: storing head"],
    ["0", "7", "fetch /tmp/c origin:origin: storing head"],
    ["0", "8", "fetch near topic:topic: storing head"],
    ["0", "9", "clone: from /tmp/c"],
    ["0", "a", "pull file:///tmp/c main: Fast-forward"],
    ["0", "b", "fetch both topic:topic: storing head"],
  );
  expect(fetchedCommits(parseReflog(text), REMOTES).map((commit) => commit.charAt(0))).toEqual(["1", "3", "4", "6"]);
  expect(["origin/a", "near/a", "both/a", "other/a"].filter((name) => REMOTES.tracks(`refs/remotes/${name}`))).toEqual(["origin/a"]); // prettier-ignore
  const heads = `${id("1")}\t\tbranch 'main' of https://example.org/x
${id("2")}\tnot-for-merge\ttag 'v1' of git@example.org:x
${id("3")}\t\thttp://example.org/x
${id("4")}\t\tbranch 'main' of /tmp/c
${id("5")}\t\tbranch 'main' of /tmp/c of https://example.org/x
${id("6")}\t\t../c
`;
  expect(fetchedByNetwork(heads).map((commit) => commit.charAt(0))).toEqual(["1", "2", "3"]);
});

test("passes over what is no entry", () => {
  const text = `cut off ${id("1")} x\n${log(["1", "2", ""])}${id("3")} ${id("4")} no message\n${id("5")} short\n\n`;
  expect(parseReflog(text)).toEqual([
    { oldId: id("1"), newId: id("2"), message: "" },
    { oldId: id("3"), newId: id("4"), message: "" },
  ]);
});
