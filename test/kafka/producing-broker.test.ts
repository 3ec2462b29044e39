import { expect, test } from "bun:test";
import { ConnectionError } from "../../src/kafka/network/connection-error.ts";
import { type Lane, ProducingBroker } from "../../src/kafka/producer/broker-connections.ts";

const mebibyte = 1 << 20;
const refused = new ConnectionError("BROKER_UNAVAILABLE", "b:9092", "connecting", "refused");
const reset = new ConnectionError("BROKER_UNAVAILABLE", "b:9092", "open", "connection reset");

const partition = (nextSize = mebibyte) => ({ inFlight: 0, nextSize, lane: null as Lane | null });

/** As the sender does: the batch is under way from now on. */
function send(broker: ProducingBroker, queue: ReturnType<typeof partition>, now = 0): string {
  const lane = broker.laneFor(queue, new Map(), now);
  lane.bytes += queue.nextSize;
  lane.requests++;
  queue.inFlight++;
  return lane.name;
}

function answer(queue: ReturnType<typeof partition>): void {
  const lane = queue.lane as Lane;
  lane.bytes -= queue.nextSize;
  lane.requests--;
  queue.inFlight--;
  lane.broker.answered(lane);
}

test("little under way: one connection; much: two, evenly", () => {
  const broker = new ProducingBroker(1, true);
  expect([1, 2, 3].map(() => send(broker, partition(60_000)))).toEqual(["", "", ""]);
  const busy = new ProducingBroker(2, true);
  expect([1, 2, 3, 4].map(() => send(busy, partition()))).toEqual(["", "produce", "", "produce"]);
});

test("what is about to be sent counts", () => {
  const broker = new ProducingBroker(1, true);
  const planned = new Map<Lane, number>();
  const names = [1, 2, 3, 4].map(() => broker.laneFor(partition(), planned, 0).name);
  expect(names).toEqual(["", "produce", "", "produce"]);
});

test("a partition stays where its batches are, and may change once they have ended", () => {
  const broker = new ProducingBroker(1, true);
  const [first, second] = [partition(), partition()];
  send(broker, first);
  send(broker, second);
  expect([send(broker, second), send(broker, second)]).toEqual(["produce", "produce"]);
  answer(first);
  expect(send(broker, second)).toBe("produce");
  for (let i = 0; i < 4; i++) answer(second);
  expect(send(broker, second)).toBe("");
});

test("five requests on the only connection, three on each of two", () => {
  const broker = new ProducingBroker(1, true);
  const queues = Array.from({ length: 6 }, () => partition(1));
  const full = queues.map((queue) => {
    send(broker, queue);
    return queue.lane?.full;
  });
  expect(full).toEqual([false, false, false, false, true, true]);
  for (const queue of queues.slice(2)) answer(queue);
  const [large, other] = [partition(), partition()];
  expect([send(broker, large), large.lane?.full]).toEqual(["", false]);
  expect([send(broker, other), other.lane?.full, large.lane?.full]).toEqual(["produce", false, true]);
});

test("the partition's leader moved: a lane of the new one", () => {
  const [old, other] = [new ProducingBroker(1, true), new ProducingBroker(2, true)];
  const moved = partition();
  send(old, moved);
  expect(other.laneFor(moved, new Map(), 0).broker).toBe(other);
});

test("a broker that allows one connection is asked for a second one more and more seldom", () => {
  const broker = new ProducingBroker(1, true);
  send(broker, partition());
  const lanes = (now: number) => {
    const queue = partition();
    const name = broker.laneFor(queue, new Map(), now).name;
    if (name !== "") broker.lost(queue.lane as Lane, refused, now);
    return name;
  };
  const asked = Array.from({ length: 7200 }, (_, second) => second * 1000).filter((now) => lanes(now) !== "");
  expect(asked).toEqual([0, 10, 30, 70, 150, 310, 630, 1270, 2550, 5110].map((second) => second * 1000));
});

test("a connection that was lost later, or an answer, ends that", () => {
  const broker = new ProducingBroker(1, true);
  send(broker, partition());
  const queue = partition();
  expect(send(broker, queue)).toBe("produce");
  broker.lost(queue.lane as Lane, reset, 0);
  expect(send(broker, partition())).toBe("");
  expect(send(broker, partition())).toBe("produce");
  broker.lost(queue.lane as Lane, refused, 0);
  expect(send(broker, partition(), 9_999)).toBe("");
  answer(queue);
  broker.lost(queue.lane as Lane, refused, 20_000);
  expect(broker.laneFor(partition(), new Map(), 30_000).name).toBe("produce");
});
