import { expect, test } from "vitest";
import { AppError } from "../../proto/index.ts";
import { explainCredential } from "./explain-credential.ts";

const none = new AppError("NO_CREDENTIAL", "None.");

test("tells how to store the credential that the environment holds, without repeating it", () => {
  const told = explainCredential(none, { ANTHROPIC_AUTH_TOKEN: "tok", CLAUDE_CODE_USE_BEDROCK: "1" });
  expect(told.help).toContain("printenv ANTHROPIC_AUTH_TOKEN | claudecluster credential set --kind auth-token");
  expect(JSON.stringify(told)).not.toContain('tok"');
});

test.each(["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"])(
  "says that the provider of %s is not spoken",
  (variable) => {
    expect(explainCredential(none, { [variable]: "1" })).toMatchObject({
      reason: "PROVIDER_UNSUPPORTED",
      message: expect.stringContaining(variable) as string,
    });
    expect(explainCredential(none, { [variable]: "0" })).toBe(none);
  },
);

test("leaves other errors as they are", () => {
  const other = new AppError("CONFIG_INVALID", "Other.");
  expect(explainCredential(other, { ANTHROPIC_API_KEY: "k" })).toBe(other);
});
