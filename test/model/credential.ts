import type { IncomingHttpHeaders } from "node:http";

/** What is wrong with a request's credential, in the real API's words; undefined when it is the expected one. */
export function credentialProblem(headers: IncomingHttpHeaders, key: string | undefined): string | undefined {
  if (key === undefined) return undefined;
  const apiKey = headers["x-api-key"];
  const bearer = /^Bearer (.*)$/i.exec(headers.authorization ?? "")?.[1];
  if (apiKey === undefined && bearer === undefined) return "x-api-key header is required";
  if (apiKey !== undefined && apiKey !== key) return "invalid x-api-key";
  if (bearer !== undefined && bearer !== key) return "Invalid bearer token";
  return undefined;
}
