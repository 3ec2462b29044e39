/** What the rotation writer did: 20 lines, one each 0.1 s, then the file becomes a timestamped backup; three times. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, renameSync, writeFileSync } from "node:fs";
import { pause } from "../support/wait.ts";
import { makePlace, type Place, untilValues, values } from "./helpers.ts";

let place: Place;

beforeAll(async () => {
  place = await makePlace("rotation");
}, 120_000);

afterAll(() => place.stopAll());

for (const delivery of ["at-least-once", "exactly-once"]) {
  test(`60 of 60, in order, ${delivery}`, async () => {
    const topic = await place.topic("rotation", 1);
    const log = place.path(`${delivery}.log`);
    writeFileSync(log, "");
    const agent = place.tail([log, "--topic", topic, "--from", "beginning", "--delivery", delivery]);
    const written: string[] = [];
    for (let round = 1; round <= 3; round++) {
      for (let n = 1; n <= 20; n++) {
        written.push(`round ${round} line ${n}`);
        appendFileSync(log, `${written.at(-1)}\n`);
        await pause(100);
      }
      renameSync(log, log.replace(".log", `-${new Date().toISOString().replace(/[:.]/g, "-")}.log`));
    }
    await untilValues(place.brokers, topic, written.length);
    expect((await agent.stop()).code).toBe(0);
    expect(await values(place.brokers, topic)).toEqual(written);
  }, 60_000);
}
