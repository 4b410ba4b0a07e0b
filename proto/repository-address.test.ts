import { describe, expect, test } from "vitest";
import { readRepositoryAddress } from "./repository-address.ts";

const read = (uri: string, ref = "") => readRepositoryAddress({ uri, ref });
const ID = "0123456789abcdef0123456789abcdef01234567";

describe("takes", () => {
  test.each([
    ["https://example.com/a/b", "https://example.com/a/b"],
    ["http://127.0.0.1:8080/r.git", "http://127.0.0.1:8080/r.git"],
    [" https://Example.com/a/b/\n", "https://example.com/a/b"],
    ["https://example.com/deep/er/path/", "https://example.com/deep/er/path"],
    // What sites show for cloning.
    ["https://github.com/o/r.git", "https://github.com/o/r.git"],
    ["git+https://github.com/o/r.git", "https://github.com/o/r.git"],
    ["git@github.com:o/r.git", "https://github.com/o/r.git"],
    ["ssh://git@github.com/o/r.git", "https://github.com/o/r.git"],
    ["git+ssh://git@gitlab.com:22/group/sub/r.git", "https://gitlab.com/group/sub/r.git"],
    ["git@codeberg.org:o/r.git", "https://codeberg.org/o/r.git"],
    ["git@bitbucket.org:o/r.git", "https://bitbucket.org/o/r.git"],
    ["https://me@bitbucket.org/team/r.git", "https://bitbucket.org/team/r.git"],
    ["https://org@dev.azure.com/org/project/_git/r", "https://dev.azure.com/org/project/_git/r"],
    ["https://org@dev.azure.com/org/My%20Project/_git/r", "https://dev.azure.com/org/My%20Project/_git/r"],
    ["git@ssh.dev.azure.com:v3/org/project/r", "https://dev.azure.com/org/project/_git/r"],
    ["https://org.visualstudio.com/project/_git/r", "https://org.visualstudio.com/project/_git/r"],
    // What a browser shows.
    ["github.com/o/r", "https://github.com/o/r"],
    ["https://www.github.com/o/r", "https://github.com/o/r"],
    ["https://github.com/o/r?tab=readme-ov-file#usage", "https://github.com/o/r"],
    ["https://dev.azure.com/org/project/_git/r?path=/README.md", "https://dev.azure.com/org/project/_git/r"],
  ])("%s", (given, uri) => {
    expect(read(given, "v1")).toEqual({ uri, ref: "v1" });
    expect(read(uri, "v1")).toEqual({ uri, ref: "v1" });
  });

  test.each([
    ["https://github.com/o/r/tree/main", "https://github.com/o/r", "main"],
    ["https://github.com/o/r/tree/fix%2Fit/", "https://github.com/o/r", "fix/it"],
    [`https://github.com/o/r/commit/${ID}#diff-0`, "https://github.com/o/r", ID],
    ["https://github.com/o/r/releases/tag/v1.2", "https://github.com/o/r", "v1.2"],
    ["https://gitlab.com/group/sub/r/-/tree/main?ref_type=heads", "https://gitlab.com/group/sub/r", "main"],
    [`https://git.example.com/o/r/-/commit/${ID}`, "https://git.example.com/o/r", ID],
    ["https://codeberg.org/o/r/src/branch/main", "https://codeberg.org/o/r", "main"],
    ["https://github.com/o/r/pull/12", "https://github.com/o/r", "refs/pull/12/head"],
    ["https://github.com/o/r/pull/12/files", "https://github.com/o/r", "refs/pull/12/head"],
    ["https://codeberg.org/o/r/pulls/1", "https://codeberg.org/o/r", "refs/pull/1/head"],
    ["https://gitlab.com/o/r/-/merge_requests/1/diffs", "https://gitlab.com/o/r", "refs/merge-requests/1/head"],
    ["https://bitbucket.org/o/r/src/main/", "https://bitbucket.org/o/r", "main"],
    [`https://bitbucket.org/o/r/commits/${ID}`, "https://bitbucket.org/o/r", ID],
  ])("%s", (given, uri, ref) => {
    expect(read(given)).toEqual({ uri, ref });
    expect(read(given, ref)).toEqual({ uri, ref });
    expect(() => read(given, "another")).toThrow(expect.objectContaining({ reason: "REPOSITORY_URI_INVALID" }));
  });
});

test.each([
  ["git@git.example.com:o/r.git", "https://git.example.com/o/r.git"],
  ["ssh://git@git.example.com:2222/o/r.git", "https://git.example.com/o/r.git"],
  ["git://git.example.com/o/r.git", "https://git.example.com/o/r.git"],
  ["git.example.com/o/r", "https://git.example.com/o/r"],
  ["git.example.com/o/r?token=hunter2", "https://git.example.com/o/r"],
  ["git.example.com:8443/o/r", "https://git.example.com:8443/o/r"],
  ["o/r", "https://github.com/o/r"],
  ["https://github.com/o/r/tree/fix/it", "https://github.com/o/r"],
  ["https://github.com/o/r/blob/main/README.md", "https://github.com/o/r"],
  ["https://github.com/o/r/issues/12", "https://github.com/o/r"],
  ["https://bitbucket.org/o/r/pull-requests/1", "https://bitbucket.org/o/r"],
  ["https://gitlab.com/o/r/-/issues/1", "https://gitlab.com/o/r"],
  ["https://bitbucket.org/o/r/src/main/lib", "https://bitbucket.org/o/r"],
  ["https://github.com/o/r/tree/%E0%A4%A", "https://github.com/o/r"],
  ["https://example.com/o/r?x=hunter2", "https://example.com/o/r"],
  ["https://example.com/o/r/#hunter2", "https://example.com/o/r"],
  ["https://hunter2@github.com/o/r", "https://github.com/o/r"],
  ["https://me:hunter2@dev.azure.com/org/project/_git/r", "https://dev.azure.com/org/project/_git/r"],
])("answers %s with the form that works, and repeats no secret", (given, form) => {
  const error = (() => {
    try {
      return JSON.stringify(read(given));
    } catch (caught) {
      return caught;
    }
  })();
  expect(error).toMatchObject({ kind: "INVALID_ARGUMENT", help: expect.stringMatching(`${form}[ .,]`) as string });
  expect((error as Error).message + (error as { help: string }).help).not.toContain("hunter2");
});

test.each(["", "/srv/repo", "./repo", "C:\\repo", "file:///etc", "ext::sh -c id", "not a url", "https://", "ssh://x"])(
  "knows no other form of %j",
  (given) => {
    expect(() => read(given)).toThrow(
      expect.objectContaining({
        reason: "REPOSITORY_URI_INVALID",
        help: expect.stringContaining("such as https://github.com/owner/name") as string,
      }),
    );
  },
);
