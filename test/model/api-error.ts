/** The real API's error type for a status, as documented at docs.claude.com/en/api/errors. */
const TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  529: "overloaded_error",
};

const MESSAGES: Readonly<Record<number, string>> = {
  400: "messages: the scripted model was told to refuse this request",
  401: "invalid x-api-key",
  403: "Your API key does not have permission to use the specified resource",
  404: "model: scripted-model-does-not-exist",
  413: "Request exceeds the maximum size",
  429: "This request would exceed your account's rate limit. Please try again later.",
  500: "Internal server error",
  529: "Overloaded",
};

export function errorType(status: number): string {
  return TYPES[status] ?? (status >= 500 ? "api_error" : "invalid_request_error");
}

export function errorMessage(status: number): string {
  return MESSAGES[status] ?? `Scripted error ${status}`;
}

export function errorBody(type: string, message: string, requestId: string): Readonly<Record<string, unknown>> {
  return { type: "error", error: { type, message }, request_id: requestId };
}
