/**
 * Counters, gauges and histograms in the Prometheus text format, version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 * Names without prefix: `file_read_bytes_total` is shown as `logagent_file_read_bytes_total`.
 */
export type Labels = Readonly<Record<string, string | number>>;

export interface Metrics {
  /** Adds `by` (default 1) to a counter; its name ends in `_total`. */
  count(name: string, labels?: Labels, by?: number): void;
  /** Sets a gauge. */
  set(name: string, labels: Labels, value: number): void;
  /** Adds an observation (seconds, bytes, … as the name says) to a histogram. */
  observe(name: string, labels: Labels, value: number): void;
  /** Called before each rendering: the place to set gauges that would be too costly to keep current. */
  onCollect(f: () => void): void;
  /** Forgets all series of these names (all names: none given) that carry these labels, for example of a removed input. */
  remove(labels: Labels, names?: readonly string[]): void;
}

export const noMetrics: Metrics = { count() {}, set() {}, observe() {}, onCollect() {}, remove() {} };

/** Help texts and types of every metric there is; using another name is a bug and throws. */
export const metricTable = {
  build_info: ["gauge", "Version and commit of the running agent; always 1"],
  file_read_bytes_total: ["counter", "Bytes read from the files of an input"],
  file_position_bytes: ["gauge", "Acknowledged position in the file"],
  file_size_bytes: ["gauge", "Size of the file when last looked at"],
  file_lag_bytes: ["gauge", "Bytes in the file that are not acknowledged yet"],
  file_rotations_total: ["counter", "Renames, replacements, truncations and copies seen, by kind"],
  files_open: ["gauge", "Files followed by the input"],
  lost_files_total: [
    "counter",
    "Files not to be found at a start, so that it is not known what of them was lost, by reason",
  ],
  lost_bytes_total: ["counter", "Bytes that could not be reached any more, by reason"],
  perhaps_repeated_bytes_total: [
    "counter",
    "Bytes sent of files that hold what another file holds, though nothing proves a copy",
  ],
  lines_too_long_total: ["counter", "Lines over the limit, by the policy applied"],
  records_acked_total: ["counter", "Records acknowledged by Kafka"],
  record_bytes_acked_total: ["counter", "Encoded bytes of acknowledged batches"],
  records_dropped_total: ["counter", "Records that cannot be delivered as they are, by error"],
  produce_errors_total: ["counter", "Errors of produce requests, by code; retries follow"],
  produce_seconds: ["histogram", "Time from a batch's first try to its acknowledgement"],
  buffered_bytes: ["gauge", "Bytes of unacknowledged batches in memory"],
  checkpoints_total: ["counter", "Checkpoints written to the state journal"],
  checkpoint_errors_total: ["counter", "Checkpoints that could not be written"],
  transactions_total: ["counter", "Transactions, by outcome"],
  input_restarts_total: ["counter", "Times a crashed input was started again"],
  reloads_total: ["counter", "Reloads of the configuration, by outcome"],
  connected: ["gauge", "1 while a broker answers"],
} as const satisfies Record<string, readonly ["counter" | "gauge" | "histogram", string]>;

/** Upper bounds in seconds. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface Series {
  labels: Labels;
  value: number;
  /** Histograms: observations per bucket, not cumulated, and their number; `value` is the sum. */
  counts?: number[];
  total?: number;
}

export interface Registry extends Metrics {
  /** The whole exposition. */
  render(): string;
}

export function createMetrics(): Registry {
  const all = new Map<string, Map<string, Series>>();
  const collectors: (() => void)[] = [];

  /** The series of each name that was used last: mostly the same one is used again, and its text need not be made. */
  const latest = new Map<string, Series>();

  const series = (name: string, labels: Labels): Series => {
    const last = latest.get(name);
    if (last && sameLabels(last.labels, labels)) return last;
    if (!Object.hasOwn(metricTable, name)) throw new Error(`metric ${name} is not in the table of metrics`);
    const byLabels = all.get(name) ?? new Map<string, Series>();
    all.set(name, byLabels);
    const key = labelText(labels);
    const found = byLabels.get(key) ?? { labels, value: 0 };
    byLabels.set(key, found);
    latest.set(name, found);
    return found;
  };

  return {
    count(name, labels = {}, by = 1) {
      series(name, labels).value += by;
    },
    set(name, labels, value) {
      series(name, labels).value = value;
    },
    observe(name, labels, value) {
      const s = series(name, labels);
      s.counts ??= new Array(buckets.length + 1).fill(0);
      const at = buckets.findIndex((bound) => value <= bound);
      s.counts[at < 0 ? buckets.length : at]! += 1;
      s.total = (s.total ?? 0) + 1;
      s.value += value;
    },
    onCollect(f) {
      collectors.push(f);
    },
    remove(labels, names) {
      const wanted = Object.entries(labels);
      latest.clear();
      for (const [name, byLabels] of all) {
        if (names && !names.includes(name)) continue;
        for (const [key, s] of byLabels) {
          if (wanted.every(([label, value]) => s.labels[label] === value)) byLabels.delete(key);
        }
      }
    },
    render() {
      for (const collect of collectors) collect();
      let text = "";
      for (const [name, byLabels] of all) {
        const [type, help] = metricTable[name as keyof typeof metricTable];
        text += `# HELP logagent_${name} ${help}\n# TYPE logagent_${name} ${type}\n`;
        for (const s of byLabels.values())
          text += type === "histogram" ? histogram(name, s) : line(name, s.labels, s.value);
      }
      return text;
    },
  };
}

function histogram(name: string, { labels, value, counts = [], total = 0 }: Series): string {
  let below = 0;
  let text = "";
  buckets.forEach((bound, i) => {
    below += counts[i] ?? 0;
    text += line(`${name}_bucket`, { ...labels, le: bound }, below);
  });
  text += line(`${name}_bucket`, { ...labels, le: "+Inf" }, total);
  return text + line(`${name}_sum`, labels, value) + line(`${name}_count`, labels, total);
}

function line(name: string, labels: Labels, value: number): string {
  return `logagent_${name}${labelText(labels)} ${value}\n`;
}

function sameLabels(a: Labels, b: Labels): boolean {
  for (const name in a) if (a[name] !== b[name]) return false;
  for (const name in b) if (!(name in a)) return false;
  return true;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(String(value))}"`);
  return pairs.length ? `{${pairs.join(",")}}` : "";
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`));
}
