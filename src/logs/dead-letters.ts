import type { KeptLetter } from '../../ingest/sinks/dead-letter-lines.ts';
import { HttpError } from '../http/errors.ts';
import type { Handler } from '../http/state.ts';
import { askSink, untilGone } from './ask-sink.ts';
import { invalid, Parameters } from './parameters.ts';
import type { LogPipeline } from './pipeline.ts';

/** The most letters that one answer lists. */
const mostLetters = 10_000;

type WithDeadLetters = Pick<LogPipeline, 'deadLetters'>;

/** `GET /api/dead-letters`: the oldest, without their documents; and how many there are. */
export function listDeadLetters({ deadLetters }: WithDeadLetters): Handler {
  return async (ctx) => {
    const limit = new Parameters(ctx.query, ['limit'], Date.now()).count('limit', 100, mostLetters);
    const letters: object[] = [];
    let total = 0;
    for await (const { id, at, reason, document } of deadLetters.read()) {
      total += 1;
      if (letters.length < limit) letters.push({ id, at, reason, characters: document.length });
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { letters, total };
  };
}

/** `GET /api/dead-letters/:id`: a letter with its document. */
export function showDeadLetter({ deadLetters }: WithDeadLetters): Handler {
  return async (ctx) => {
    const letter = await find(deadLetters, ctx.path.slice(ctx.path.lastIndexOf('/') + 1));
    if (letter === undefined) throw new HttpError(404, 'NOT_FOUND', 'there is no such dead letter');
    const { id, at, reason, document } = letter;
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Content-Type', 'application/json; charset=utf-8');
    // The document goes as it is, so that no number in it changes.
    ctx.body = `${JSON.stringify({ id, at, reason }).slice(0, -1)},"document":${document}}`;
  };
}

/** `POST /api/dead-letters/replay?ids=…`: they are sent again; what the sink takes is no longer kept. */
export function replayDeadLetters({ deadLetters }: WithDeadLetters): Handler {
  return async (ctx) => {
    ctx.body = await askSink(deadLetters.replay(idsOf(ctx.query), untilGone(ctx.res)));
  };
}

/** `DELETE /api/dead-letters?ids=…` */
export function dropDeadLetters({ deadLetters }: WithDeadLetters): Handler {
  return async (ctx) => {
    ctx.body = { dropped: await deadLetters.remove(idsOf(ctx.query)) };
  };
}

/** Undefined: all. */
function idsOf(query: ConstructorParameters<typeof Parameters>[0]): ReadonlySet<string> | undefined {
  const ids = new Parameters(query, ['ids'], Date.now()).text('ids');
  if (ids === undefined) throw invalid('ids', 'expected ids with commas between them, or * for all');
  return ids === '*' ? undefined : new Set(ids.split(','));
}

async function find(deadLetters: LogPipeline['deadLetters'], id: string): Promise<KeptLetter | undefined> {
  for await (const letter of deadLetters.read()) if (letter.id === id) return letter;
  return undefined;
}
