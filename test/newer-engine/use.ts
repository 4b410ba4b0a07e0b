import { inject } from "vitest";

// What a test starts finds the engine there as well.
process.env["DOCKER_HOST"] = inject("newerEngine").address;
