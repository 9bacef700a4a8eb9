import { HttpError } from '../http/errors.ts';
import { type MemoryBudget, withBody } from '../http/body.ts';
import type { Handler } from '../http/state.ts';
import type { LogPipeline } from './pipeline.ts';
import { readRecords, type RecordFormat } from './records.ts';
import { commit, sendersOf } from './senders.ts';

/** The most bytes of one request, also after inflation. */
const limit = 16 * 1024 * 1024;

const formats: Readonly<Record<string, RecordFormat>> = {
  'application/json': 'json',
  'text/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/x-jsonlines': 'ndjson',
};

/** What `POST /logs` needs. */
export interface AcceptOptions {
  readonly pipeline: Pick<LogPipeline, 'accept'>;
  readonly budget: MemoryBudget;
  /** The cluster that the configuration gives to an address. */
  readonly clusterOf: (address: string) => string | undefined;
}

/** `POST /logs`: all records of a request are kept, durably, when it is answered; or none is. */
export function acceptLogs({ pipeline, budget, clusterOf }: AcceptOptions): Handler {
  const sourceOf = sendersOf('http', clusterOf);
  return async (ctx) => {
    const format = formatOf(ctx.get('Content-Type'));
    const accepted = await withBody(ctx.req, { limit, budget }, async (body) => {
      const { count, lines } = await readRecords(body, format);
      if (count === 0) return 0;
      const arrivedAt = Date.now() * 1000;
      await commit(pipeline, { kind: 'json-records', source: sourceOf(ctx), arrivedAt, flags: {}, payload: lines });
      return count;
    });
    ctx.body = { accepted };
  };
}

function formatOf(contentType: string): RecordFormat {
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice(8);
  const format = Object.hasOwn(formats, type) ? formats[type] : undefined;
  if (format !== undefined && (charset === undefined || /^"?utf-?8"?$/.test(charset))) return format;
  throw new HttpError(
    415,
    'TYPE_UNSUPPORTED',
    'records are sent as UTF-8, with Content-Type: application/json (an object, or an array of them) or ' +
      'application/x-ndjson (an object a line)',
    { headers: { Accept: 'application/json, application/x-ndjson' } },
  );
}
