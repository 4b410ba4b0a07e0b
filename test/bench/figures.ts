import { median, printTable, quantile } from "./statistics.ts";

/** What the parts of a run have measured, and what of it goes together. */
export class Figures {
  readonly #samples = new Map<string, { unit: string; values: number[] }>();
  readonly #ratios = new Map<string, number[]>();

  /** Adds a measurement. All of one name have one unit. */
  add(name: string, value: number, unit = "ms"): void {
    const known = this.#samples.get(name) ?? { unit, values: [] };
    this.#samples.set(name, known);
    known.values.push(value);
  }

  /** Adds what two measurements of one round make together. */
  addRatio(name: string, ours: number, theirs: number): void {
    const known = this.#ratios.get(name) ?? [];
    this.#ratios.set(name, known);
    known.push(ours / theirs);
  }

  print(): void {
    printTable(
      ["what", "unit", "median", "p95", "min", "max", "n"],
      [...this.#samples].map(([name, { unit, values }]) => [name, unit, ...spread(values), String(values.length)]),
    );
    if (this.#ratios.size === 0) return;
    process.stdout.write("\n");
    printTable(
      ["ratio (median of the rounds' ratios)", "median", "p95", "min", "max"],
      [...this.#ratios].map(([name, values]) => [name, ...spread(values)]),
    );
  }

  toJSON(): object {
    const samples = [...this.#samples].map(([name, { unit, values }]) => [
      name,
      { unit, median: median(values), p95: quantile(values, 0.95), values },
    ]);
    const ratios = [...this.#ratios].map(([name, values]) => [name, median(values)]);
    return { ratios: Object.fromEntries(ratios) as unknown, samples: Object.fromEntries(samples) as unknown };
  }
}

function spread(values: readonly number[]): string[] {
  return [median(values), quantile(values, 0.95), Math.min(...values), Math.max(...values)].map((value) =>
    value.toFixed(Math.abs(value) < 10 ? 3 : Math.abs(value) < 100 ? 1 : 0),
  );
}
