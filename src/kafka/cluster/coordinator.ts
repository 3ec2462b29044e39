import { backoff } from "../../backoff.ts";
import { sleep, systemClock } from "../../runtime.ts";
import { errorInfo, KafkaError } from "../protocol/errors.ts";
import type { ApiRequest, KafkaClient } from "./client.ts";

/** Sends to the group's coordinator; while it moves or loads, asks again for up to 10 s. Throws KafkaError on other codes. */
export async function atCoordinator<T>(
  client: KafkaClient,
  group: string,
  action: string,
  request: ApiRequest<T>,
  codeOf: (answer: T) => number,
): Promise<T> {
  const deadline = performance.now() + 10_000;
  for (let failures = 1; ; failures++) {
    let code: number;
    try {
      const answer = await client.send(await client.coordinatorOf("group", group), request);
      code = codeOf(answer);
      if (code === 0) return answer;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      code = error.code;
    }
    if (!errorInfo(code).retriable || performance.now() > deadline) throw new KafkaError(code, action);
    if (errorInfo(code).refreshCoordinator) client.forgetCoordinator("group", group);
    await sleep(systemClock, backoff(failures, Math.random));
  }
}
