/** Responses out of a byte stream: cut anywhere, damaged, beyond the end, and into buffers of their final size. */
import { expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import fc from "fast-check";
import type { ApiRequest } from "../../src/kafka/cluster/client.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { ReceivePool } from "../../src/kafka/consumer/receive-pool.ts";
import { FrameError, ResponseFramer } from "../../src/kafka/network/response-frames.ts";
import { silentLog } from "../../src/observe/log.ts";

function response(id: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(payload.length + 4, 0);
  head.writeInt32BE(id, 4);
  return Buffer.concat([head, payload]);
}

/** Gathers copies, since a payload may be a view of a chunk. */
function collector(allocate = (_id: number, bytes: number) => Buffer.alloc(bytes, 0xee), keeps = false) {
  const got: [id: number, payload: string][] = [];
  const allocated: number[] = [];
  const framer = new ResponseFramer({
    keeps: () => keeps,
    allocate(id, bytes) {
      allocated.push(bytes);
      return allocate(id, bytes);
    },
    received: (id, payload) => got.push([id, payload.toString("hex")]),
  });
  return { framer, got, allocated };
}

const three = [
  [7, Buffer.from("first")],
  [-2, Buffer.alloc(0)],
  [2 ** 31 - 1, Buffer.alloc(300, "x")],
] as const;
const stream = Buffer.concat(three.map(([id, payload]) => response(id, payload)));
const expected = three.map(([id, payload]): [number, string] => [id, payload.toString("hex")]);

test("responses cut at every byte, and at every two", () => {
  for (let first = 0; first <= stream.length; first++) {
    for (const second of new Set([first, first + 1, first + 3, first + 9, stream.length])) {
      const { framer, got } = collector();
      for (const chunk of [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)]) {
        framer.push(chunk);
      }
      expect(got).toEqual(expected);
    }
  }
});

test("responses byte by byte, and in any pieces", () => {
  const single = collector();
  for (let i = 0; i < stream.length; i++) single.framer.push(stream.subarray(i, i + 1));
  expect(single.got).toEqual(expected);
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 20 }),
      fc.array(fc.nat(500)),
      (bodies, cuts) => {
        const all = Buffer.concat(bodies.map((body, i) => response(i, body)));
        const at = [0, ...cuts.map((cut) => Math.min(cut, all.length)).sort((a, b) => a - b), all.length];
        const { framer, got } = collector();
        for (let i = 1; i < at.length; i++) framer.push(all.subarray(at[i - 1], at[i]));
        expect(got).toEqual(bodies.map((body, i): [number, string] => [i, Buffer.from(body).toString("hex")]));
      },
    ),
  );
});

test("a response in one piece is a view of it; one in several is put into one buffer of its size, once", () => {
  const whole = collector();
  whole.framer.push(stream);
  expect(whole.allocated).toEqual([]);
  const large = response(3, Buffer.alloc(1_000_000, "y"));
  const cut = collector();
  for (let at = 0; at < large.length; at += 65_536) cut.framer.push(large.subarray(at, at + 65_536));
  expect(cut.allocated).toEqual([1_000_000]);
  expect(cut.got).toEqual([[3, Buffer.alloc(1_000_000, "y").toString("hex")]]);
});

test("a response that is kept is put into a buffer of its own, also when it came in one piece", () => {
  const kept: Buffer[] = [];
  const framer = new ResponseFramer({
    keeps: (id) => id === 7,
    allocate: (_, bytes) => Buffer.alloc(bytes),
    received: (_, payload) => kept.push(payload),
  });
  const chunk = Buffer.from(stream);
  framer.push(chunk);
  chunk.fill(0);
  expect(kept.map((payload) => payload.toString())).toEqual(["first", "", "\0".repeat(300)]);
});

test("a larger buffer than needed is taken; what was in it does not show", () => {
  const { framer, got } = collector(() => Buffer.alloc(4096, 0xff));
  framer.push(stream.subarray(0, 10));
  framer.push(stream.subarray(10));
  expect(got).toEqual(expected);
});

test.each([
  ["negative", -1],
  ["zero", 0],
  ["too short for a correlation id", 3],
  ["above the limit", (256 << 20) + 1],
  ["a web server's answer", Buffer.from("HTTP").readInt32BE()],
  ["a TLS alert", Buffer.from([0x15, 3, 3, 0]).readInt32BE()],
])("a size that is %s is an error as soon as it is there", (_, size) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(size);
  for (const cut of [0, 1, 4]) {
    const { framer, got } = collector();
    expect(() => {
      framer.push(response(1, Buffer.from("good")));
      framer.push(bytes.subarray(0, cut));
      framer.push(bytes.subarray(cut));
    }).toThrow(FrameError);
    framer.push(response(2, Buffer.from("behind it")));
    expect(got).toEqual([[1, Buffer.from("good").toString("hex")]]);
  }
});

test("nothing is handed on after stop, also in the middle of a piece", () => {
  const got: number[] = [];
  const framer = new ResponseFramer({
    keeps: () => false,
    allocate: (_, bytes) => Buffer.alloc(bytes),
    received(id) {
      got.push(id);
      framer.stop();
    },
  });
  framer.push(stream);
  framer.push(stream);
  expect(got).toEqual([7]);
});

test("buffers are used again when they were given back, and only then", () => {
  const pool = new ReceivePool(2);
  const first = pool.take(1_000_000);
  const second = pool.take(1_000_000);
  expect(second.buffer).not.toBe(first.buffer);
  pool.give(first);
  expect(pool.take(900_000).buffer).toBe(first.buffer);
  expect(pool.take(900_000).buffer).not.toBe(first.buffer);
  pool.give(first);
  expect(pool.take(2_000_000).length).toBeGreaterThanOrEqual(2_000_000);
});

/** A broker that answers as it is told. `answer` gets the frame of a request behind ApiVersions. */
async function liar(answer: (socket: Socket, correlationId: number) => void): Promise<{ server: Server; at: string }> {
  const server = createServer((socket) => {
    let seen = 0;
    socket.on("error", () => {});
    socket.on("data", (data) => {
      const id = data.readInt32BE(8);
      if (seen++ > 0) return answer(socket, id);
      // ApiVersions: no error, Metadata up to version 12.
      socket.write(response(id, Buffer.from([0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 12, 0, 0, 0, 0])));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, at: `127.0.0.1:${(server.address() as { port: number }).port}` };
}

const question: ApiRequest<string> = {
  name: "Metadata",
  key: 3,
  version: 1,
  body: () => {},
  parse: (reader) => reader.raw(reader.remaining).toString(),
};

async function ask(answer: (socket: Socket, correlationId: number) => void): Promise<string> {
  const { server, at } = await liar(answer);
  const client = createClient({ brokers: [at], clientId: "test", requestTimeout: 20_000 }, silentLog);
  try {
    return await client.send("any", question);
  } finally {
    await client.close();
    server.close();
  }
}

test("a connection: good answers, also byte by byte", async () => {
  expect(await ask((socket, id) => socket.write(response(id, Buffer.from("right"))))).toBe("right");
  const slowly = async (socket: Socket, id: number) => {
    for (const byte of response(id, Buffer.from("slow"))) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  expect(await ask((socket, id) => void slowly(socket, id))).toBe("slow");
});

test("a connection ends at once, and says why, at sizes and correlation ids that cannot be", async () => {
  const bad = Buffer.alloc(4);
  bad.writeInt32BE(-5);
  await expect(ask((socket) => socket.write(bad))).rejects.toThrow(/a response of -5 bytes was announced/);
  await expect(ask((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n"))).rejects.toThrow(/as text "HTTP"/);
  const foreign = (socket: Socket, id: number) => socket.write(response(id + 5, Buffer.from("whose?")));
  await expect(ask(foreign)).rejects.toThrow(/a response came for request \d+, which is not under way/);
  const cut = (socket: Socket, id: number) => socket.end(response(id, Buffer.alloc(1000)).subarray(0, 500));
  await expect(ask(cut)).rejects.toThrow(/closed/i);
});

test("answers in another order than the questions find their questions", async () => {
  const held: [Socket, number][] = [];
  const { server, at } = await liar((socket, id) => {
    held.push([socket, id]);
    if (held.length < 3) return;
    for (const [to, which] of held.reverse()) to.write(response(which, Buffer.from(`answer ${which}`)));
  });
  const client = createClient({ brokers: [at], clientId: "test" }, silentLog);
  const sent: Promise<string>[] = [];
  for (let i = 0; i < 3; i++) {
    sent.push(client.send("any", question));
    // One request a packet, so that the broker above sees three.
    while (held.length <= i) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const answers = await Promise.all(sent);
  expect(answers).toEqual(held.reverse().map(([, id]) => `answer ${id}`));
  await client.close();
  server.close();
});
