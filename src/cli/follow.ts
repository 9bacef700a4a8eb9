import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../system-error.ts';
import { ask, type ClientOptions } from './client.ts';
import { CommandError } from './command.ts';
import { readEvents, type ServerEvent } from './events.ts';

/** A tail that a server has begun: what comes from then on is in it. */
export interface Followed {
  /** Goes on for ever, over connections that break off; each record comes once. */
  records(): AsyncGenerator;
}

/** Records of which is remembered that they came. */
const remembered = 50_000;
/** Between two attempts, in ms. */
const pause = 1000;

/** Begins to follow what matches a query. What is no record is told on `stderr`. @throws {CommandError} */
export async function follow(q: string, server: ClientOptions, stderr: Writable): Promise<Followed> {
  const path = `/api/logs/tail?${new URLSearchParams({ q }).toString()}`;
  const tell = (text: string): void => void stderr.write(`shiplog: ${text}\n`);
  const first = bodyOf(await ask(path, server));
  return {
    async *records() {
      const seen = new Set<string>();
      let last = '';
      for (let body: ReadableStream<Uint8Array> | undefined = first; ; body = await again(path, server, last, tell)) {
        try {
          for await (const event of readEvents(body)) {
            if (event.name !== 'message') {
              tell(noteOf(event));
              continue;
            }
            last = event.id;
            // What stands before the dot is where the server goes on, and differs.
            const id = event.id.slice(event.id.indexOf('.') + 1);
            if (seen.has(id)) continue;
            seen.add(id);
            const [oldest] = seen;
            if (seen.size > remembered && oldest !== undefined) seen.delete(oldest);
            const record: unknown = JSON.parse(event.data);
            yield record;
          }
        } catch (error) {
          // The connection broke off amid the answer.
          if (!hasCode(error, 'ECONNRESET')) throw error;
        }
        tell('the connection ended; trying to go on');
      }
    },
  };
}

/** Goes on after an event, as soon as the server is there. A refusal that no waiting mends is thrown. */
async function again(
  path: string,
  server: ClientOptions,
  last: string,
  tell: (text: string) => void,
): Promise<ReadableStream<Uint8Array>> {
  let told = false;
  for (;;) {
    await sleep(pause);
    try {
      const answer = await ask(path, server, {
        headers: last === '' ? {} : { 'last-event-id': last },
        also: [429, 500, 502, 503, 504],
      });
      if (answer.ok) {
        if (told) tell('it goes on');
        return bodyOf(answer);
      }
      await answer.body?.cancel();
    } catch (error) {
      // Without a cause it is what the server said.
      if (!(error instanceof CommandError) || error.cause === undefined) throw error;
      if (!told) tell(error.message);
      told = true;
    }
  }
}

function bodyOf(answer: Response): ReadableStream<Uint8Array> {
  if (answer.body !== null && answer.headers.get('content-type')?.startsWith('text/event-stream') === true) {
    return answer.body;
  }
  throw new CommandError(`the server answers something that is no stream of events; is that a shiplog?`);
}

function noteOf({ name, data }: ServerEvent): string {
  if (name === 'skipped') return 'more came than can be shown; some records are left out';
  return `the log store does not answer at the moment; what comes meanwhile is shown later (${name}: ${data})`;
}
