import { isUtf8 } from "node:buffer";
import type { Lines } from "../../lines.ts";
import { offsetOf } from "./router.ts";

/**
 * `--format json`: every value becomes `{"line":…,"path":…,"host":…,"offset":…}`; a line that is not valid UTF-8 stands as
 * `line_base64`. Positions stay those of the original. The result is valid until the next call.
 */
export class JsonLines {
  private readonly host: string;
  private buffer = Buffer.allocUnsafe(1 << 16);
  private starts = new Uint32Array(256);
  private ends = new Uint32Array(256);

  constructor(host: string) {
    this.host = host;
  }

  convert(lines: Lines, path: string): Lines {
    const { count } = lines;
    if (this.starts.length < count) {
      this.starts = new Uint32Array(count * 2);
      this.ends = new Uint32Array(count * 2);
    }
    const bytes = Buffer.from(lines.bytes.buffer, lines.bytes.byteOffset, lines.bytes.byteLength);
    const place = `"path":${JSON.stringify(path)},"host":${JSON.stringify(this.host)}`;
    // Mostly all of them are, and one look tells; no buffer per line, which would be garbage for long.
    const allUtf8 = count > 0 && isUtf8(bytes.subarray(lines.starts[0], lines.ends[count - 1]));
    let length = 0;
    for (let i = 0; i < count; i++) {
      const [from, to] = [lines.starts[i] as number, lines.ends[i] as number];
      const line =
        allUtf8 || isUtf8(bytes.subarray(from, to))
          ? `"line":${JSON.stringify(bytes.toString("utf8", from, to))}`
          : `"line_base64":"${bytes.toString("base64", from, to)}"`;
      const text = `{${line},${place},"offset":${offsetOf(lines, i)}}`;
      this.reserve(length, text.length * 3);
      this.starts[i] = length;
      length += this.buffer.write(text, length);
      this.ends[i] = length;
    }
    return { ...lines, bytes: this.buffer.subarray(0, length), starts: this.starts, ends: this.ends };
  }

  private reserve(used: number, more: number): void {
    if (used + more <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, used + more));
    this.buffer.copy(larger, 0, 0, used);
    this.buffer = larger;
  }
}
