import { resourceFromAttributes } from "@opentelemetry/resources";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import type { Counter, Histogram, Observable } from "@opentelemetry/api";
import { type LabelsOf, type Metric, type MetricName, METRICS, OTHER, type SetName } from "./metrics.ts";

/** So many combinations of a metric's labels are there from the start, at 0: what begins later shows no rise in Prometheus. */
const MAX_KNOWN_AT_START = 24;

/** Sets a metric, while metrics are read. */
export type SetMetric = <Name extends SetName>(name: Name, value: number, labels: LabelsOf<Name>) => void;

/** Reader that collects when it is asked. */
class PulledReader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** Options of meters. */
export interface MetersOptions {
  version: string;
  /** Id of this life of the host. */
  instanceId: string;
  /** Further readers, which are shut down with the meters. Default: none. */
  readers?: MetricReader[];
}

/** Meters of the host: one for each of METRICS. Dispose of them. */
export class Meters implements AsyncDisposable {
  readonly #provider: MeterProvider;
  readonly #pulled;
  readonly #serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();
  /** Those that are set when they are read. */
  readonly #set = new Map<string, Observable>();
  readonly #allowed = new Map<string, [label: string, values: ReadonlySet<string>][]>();

  private constructor(provider: MeterProvider, pulled: PulledReader) {
    this.#provider = provider;
    this.#pulled = pulled;
  }

  /** Starts them all, those of few labels at 0. */
  static start({ version, instanceId, readers = [] }: MetersOptions): Meters {
    const pulled = new PulledReader();
    const resource = resourceFromAttributes({
      "service.name": "claudecluster",
      "service.version": version,
      "service.instance.id": instanceId,
    });
    const meters = new Meters(new MeterProvider({ resource, readers: [pulled, ...readers] }), pulled);
    for (const [name, metric] of Object.entries<Metric>(METRICS)) meters.#begin(name, metric);
    return meters;
  }

  /** Adds to a counter. */
  add<Name extends Exclude<MetricName<"counter">, SetName>>(name: Name, value: number, labels: LabelsOf<Name>): void {
    this.#counters.get(name)!.add(value, this.#bounded(name, labels));
  }

  /** Records a value in a histogram. */
  record<Name extends MetricName<"histogram">>(name: Name, value: number, labels: LabelsOf<Name>): void {
    this.#histograms.get(name)!.record(value, this.#bounded(name, labels));
  }

  /** Calls `read` whenever the metrics are read, to set some. One that is not set is absent. */
  onRead(read: (set: SetMetric) => void | Promise<void>): void {
    this.#provider
      .getMeter("claudecluster")
      .addBatchObservableCallback(
        (result) =>
          read((name, value, labels) => result.observe(this.#set.get(name)!, value, this.#bounded(name, labels))),
        [...this.#set.values()],
      );
  }

  /** Returns all metrics in the text format of Prometheus. */
  async text(): Promise<string> {
    const { resourceMetrics, errors } = await this.#pulled.collect();
    if (errors.length > 0) throw errors[0];
    return this.#serializer.serialize(resourceMetrics);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#provider.shutdown();
  }

  #begin(name: string, { kind, kept, unit, help: description, labels = {}, buckets }: Metric): void {
    const meter = this.#provider.getMeter("claudecluster");
    const allowed = Object.entries(labels);
    this.#allowed.set(
      name,
      allowed.map(([label, values]) => [label, new Set(values)]),
    );
    const options = { description, ...(unit && { unit }) };
    if (kind === "gauge") {
      this.#set.set(name, meter.createObservableGauge(name, options));
      return;
    }
    if (kept === true) {
      this.#set.set(name, meter.createObservableCounter(name, options));
      return;
    }
    if (kind === "histogram") {
      const advice = { explicitBucketBoundaries: [...(buckets ?? [])] };
      this.#histograms.set(name, meter.createHistogram(name, { ...options, advice }));
      return;
    }
    const counter = meter.createCounter(name, options);
    this.#counters.set(name, counter);
    const combined = combinations(allowed);
    if (combined.length <= MAX_KNOWN_AT_START) for (const known of combined) counter.add(0, known);
  }

  /** What a label may not be is OTHER. */
  #bounded(name: string, labels: Readonly<Record<string, string>>): Record<string, string> {
    const bounded: Record<string, string> = {};
    for (const [label, values] of this.#allowed.get(name)!) {
      const value = labels[label] ?? OTHER;
      bounded[label] = values.has(value) ? value : OTHER;
    }
    return bounded;
  }
}

function combinations(labels: [string, readonly string[]][]): Record<string, string>[] {
  return labels.reduce<Record<string, string>[]>(
    (all, [label, values]) => all.flatMap((one) => values.map((value) => ({ ...one, [label]: value }))),
    [{}],
  );
}
