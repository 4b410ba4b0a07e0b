import { create } from "@bufbuild/protobuf";
import { type Credential, fixedCredential } from "../../host/broker/model/credential.ts";
import { DEFAULT_MAX_OUTPUT_TOKENS } from "../../host/broker/model/model-policy.ts";
import type { ModelAccess } from "../../host/session/session-broker.ts";
import { BudgetSchema } from "../../proto/index.ts";

/** Access to a model without bounds. */
export function openModel(url: string, credential: Credential = { kind: "api-key", value: "key" }): ModelAccess {
  return {
    endpoint: new URL(url),
    credentials: fixedCredential(credential),
    policy: { allowedModels: undefined, allowedBetas: [], maxOutputTokens: DEFAULT_MAX_OUTPUT_TOKENS },
    fallbackModel: undefined,
    budgets: { session: create(BudgetSchema), day: create(BudgetSchema) },
  };
}
