import { expect, test } from "bun:test";
import fc from "fast-check";
import { encodeRecord, type JsonRecord, parseRecord } from "../../src/output/record-json.ts";

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 30 }).map((array) => Buffer.from(array)),
  fc.string({ unit: "binary", maxLength: 30 }).map((text) => Buffer.from(text)),
  fc.constantFrom("\ufeffbom", '"\\\u0000\u2028', "").map((text) => Buffer.from(text)),
);

test("every record comes back byte for byte, on one line", () => {
  const record = fc.record({
    topic: fc.constantFrom("t", "web_log"),
    partition: fc.nat(1000),
    offset: fc.nat(),
    timestamp: fc.integer(),
    key: fc.option(bytes),
    value: fc.option(bytes),
    headers: fc.array(fc.record({ key: bytes, value: fc.option(bytes) }), { maxLength: 4 }),
  });
  fc.assert(
    fc.property(record, (original) => {
      const line = encodeRecord(original);
      expect(line).not.toContain("\n");
      const back = parseRecord(line);
      const headers = back.headers.map(({ key, value }) => ({ key: Buffer.from(key as string), value }));
      expect({ ...back, headers } as JsonRecord).toEqual(original);
    }),
    { numRuns: 400 },
  );
});

test("timestamps keep all digits of an int64, and what is none is refused with its value", () => {
  for (const digits of ["9223372036854775807", "-9223372036854775808", "1764093000123456789", "1764093000123", "-1"]) {
    const { timestamp } = parseRecord(`{"value":"v","timestamp":${digits}}`);
    expect(String(timestamp)).toBe(digits);
    expect(encodeRecord({ timestamp: timestamp!, key: null, value: null, headers: [] })).toContain(`:${digits},`);
  }
  expect(() => parseRecord('{"value":"v","timestamp":9223372036854775808}')).toThrow(
    "64 bits; got 9223372036854775808",
  );
  expect(() => parseRecord('{"value":"v","timestamp":1e300}')).toThrow("64 bits");
});

test("the shape that others rely on", () => {
  const record = {
    topic: "t",
    partition: 0,
    offset: 7,
    timestamp: 17,
    key: null,
    value: Buffer.from("v"),
    headers: [],
  };
  expect(encodeRecord(record)).toBe(
    '{"topic":"t","partition":0,"offset":7,"timestamp":17,"key":null,"value":"v","headers":[]}',
  );
  const headers = [
    { key: "h", value: null },
    { key: "h", value: Buffer.from([0xff]) },
  ];
  expect(encodeRecord({ key: Buffer.from([0xc3]), value: null, headers })).toBe(
    '{"key_base64":"ww==","value":null,"headers":[{"key":"h","value":null},{"key":"h","value_base64":"/w=="}]}',
  );
});

test("what would lose data is refused and named", () => {
  const refused: [string, RegExp][] = [
    ["", /one JSON object/],
    ["[]", /must be a JSON object/],
    ['{"key":"k"}', /needs "value"/],
    ['{"vlaue":"x","value":"y"}', /got "vlaue"/],
    ['{"value":1}', /must be a string or null; got 1/],
    ['{"value":"a","value_base64":"YQ=="}', /exclude each other/],
    ['{"value_base64":"!"}', /must be base64/],
    ['{"value":"\\ud800"}', /surrogate/],
    ['{"value":"a","headers":{"a":"b"}}', /list of/],
    ['{"value":"a","headers":[{"value":"b"}]}', /needs "key"/],
    ['{"value":"a","partition":1.5}', /whole number/],
  ];
  for (const [line, message] of refused) expect(() => parseRecord(line)).toThrow(message);
});
