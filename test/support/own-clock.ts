import { afterAll } from "vitest";

// Files share a process: what one leaves, the next ones would wait for in vain.
const { setTimeout, setInterval, Date } = globalThis;

afterAll(() => {
  const own = { setTimeout, setInterval, Date };
  const left = Object.entries(own).filter(([name, value]) => globalThis[name as keyof typeof own] !== value);
  if (left.length > 0) throw new Error(`This file has left its own ${left.map(([name]) => name).join(", ")} behind.`);
});
