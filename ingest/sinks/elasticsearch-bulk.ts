import { type Client, errors, type estypes } from '@elastic/elasticsearch';
import type { Log } from '../log.ts';
import { isTooLarge, outcomeOf, type BulkItem } from './elasticsearch-errors.ts';
import { Repeats } from './elasticsearch-repeats.ts';
import { SinkError, type Outcome, type SinkDocument } from './sink.ts';

/** Writes documents to a data stream. */
export class BulkWriter {
  readonly #stream: string;
  readonly #repeats: Repeats;

  constructor(stream: string, log: Log) {
    this.#stream = stream;
    this.#repeats = new Repeats(stream, log);
  }

  /** Records that may be there twice. */
  get possibleDuplicates(): number {
    return this.#repeats.possible;
  }

  /** The outcome of each document. Throws what the client throws, and SinkError, where none was judged. */
  async write(client: Client, documents: readonly SinkDocument[], signal: AbortSignal): Promise<Outcome[]> {
    if (documents.length === 0) return [];
    const body = bodyOf(documents);
    let items: readonly BulkItem[];
    try {
      items = await this.#send(client, body, documents.length, signal);
    } catch (error) {
      if (mayHaveStored(error)) this.#repeats.unanswered(documents);
      if (!isTooLarge(error)) throw error;
      if (documents.length === 1) {
        const reason = `larger than Elasticsearch, or a proxy before it, takes (413): ${body.length} bytes`;
        return [{ status: 'rejected', reason }];
      }
      const half = Math.ceil(documents.length / 2);
      const first = await this.write(client, documents.slice(0, half), signal);
      return [...first, ...(await this.write(client, documents.slice(half), signal))];
    }
    if (this.#repeats.isFirst(documents, items)) return items.map(() => stored);
    await this.#repeats.mend(client, pairs(documents, items), signal);
    return items.map(outcomeOf);
  }

  async #send(client: Client, body: Buffer, expected: number, signal: AbortSignal): Promise<BulkItem[]> {
    // As `client.bulk` does, which takes no bytes.
    const answer: Partial<estypes.BulkResponse> = await client.transport.request(
      {
        method: 'POST',
        path: `/${encodeURIComponent(this.#stream)}/_bulk`,
        bulkBody: body,
        querystring: {
          require_data_stream: true,
          // Where a shard is away, the answer must come before the request is given up.
          timeout: '30s',
          filter_path: 'error,status,errors,items.*.status,items.*.error,items.*._index,items.*.failure_store',
        },
      },
      { signal },
    );
    const items = (answer.items ?? []).flatMap(({ create }) => create ?? []);
    if (items.length !== expected)
      throw new SinkError('unavailable', 'Elasticsearch answered for other documents than those sent');
    return items;
  }
}

/** Whether documents may be stored although an attempt failed: only Elasticsearch's own refusal says that they are not. */
function mayHaveStored(error: unknown): boolean {
  const status = error instanceof errors.ResponseError ? (error.statusCode ?? 0) : 0;
  return status < 400 || status >= 500 || status === 408;
}

const stored: Outcome = { status: 'indexed' };

/**
 * The actions and documents as they are sent. As bytes, since a text with one letter beyond Latin-1 takes two for each
 * letter, and is encoded as a whole.
 */
function bodyOf(documents: readonly SinkDocument[]): Buffer {
  const actions = documents.map(({ record }) => `{"create":{"_id":${JSON.stringify(record.id)}}}\n`);
  let length = documents.length;
  for (const action of actions) length += Buffer.byteLength(action);
  for (const { json } of documents) length += Buffer.byteLength(json);
  const body = Buffer.allocUnsafe(length);
  let at = 0;
  for (const [index, { json }] of documents.entries()) {
    at += body.write(actions[index] ?? '', at);
    at += body.write(json, at);
    body[at] = LF;
    at += 1;
  }
  return body;
}

const LF = 0x0a;

function pairs(documents: readonly SinkDocument[], items: readonly BulkItem[]): [SinkDocument, BulkItem][] {
  return documents.flatMap((document, index) => {
    const item = items[index];
    return item === undefined ? [] : [[document, item]];
  });
}
