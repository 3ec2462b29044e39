/**
 * What people read on a terminal or in a log is text of ours around names and words of others: file names, topic and
 * group names, texts of brokers and of token endpoints. Here those lose the power to move the cursor, to change colours or
 * to begin a line that looks like one of ours. Data (values of `consume`, `--output json`) stays as it is.
 */

// C0, DEL, C1, line and paragraph separators, what changes the direction of writing, and halves of surrogate pairs.
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced.
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const short: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * The text in one line without anything that a terminal obeys: `\n`, `\x1b`, `\u202e` instead. A lone surrogate of
 * U+DC80 to U+DCFF stands for a byte that is not UTF-8 and shows as that byte, `\xff`. A backslash is itself: this is
 * for reading, not for reading back.
 */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => short[character] ?? escaped(character.charCodeAt(0)));
}

/** Bytes that are meant to be text; what is not UTF-8 shows as `\xff`. */
export function printableBytes(bytes: Uint8Array): string {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  if (!whole.includes("\ufffd")) return printable(whole);
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    text += length === 0 ? escaped(0xdc00 + bytes[at]!) : Buffer.from(bytes.subarray(at, at + length)).toString("utf8");
    at += length || 1;
  }
  return printable(text);
}

/** The same JSON value with such characters as `\u` escapes; line breaks between the values stay. */
export function printableJson(json: string): string {
  return json.replace(unsafe, (character) => (character < " " ? character : unicode(character.charCodeAt(0))));
}

function escaped(code: number): string {
  const byte = code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : code;
  return byte < 0x80 || byte !== code ? `\\x${byte.toString(16).padStart(2, "0")}` : unicode(code);
}

function unicode(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}

/** Bytes of the UTF-8 character that begins at `at`; 0 when none does. */
export function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length < 2) return length;
  const decoded = Buffer.from(bytes.subarray(at, at + length)).toString("utf8");
  const encoded = Buffer.from(decoded);
  return encoded.length === length && encoded.every((byte, i) => byte === bytes[at + i]) ? length : 0;
}
