import { type Client, errors } from '@elastic/elasticsearch';
import type { Bulk } from '../bulk.ts';
import type { Log } from '../log.ts';
import { freeMemory } from '../memory.ts';
import { isTooLarge, outcomeOf, type BulkItem } from './elasticsearch-errors.ts';
import { Repeats } from './elasticsearch-repeats.ts';
import { SinkError, type Outcome } from './sink.ts';

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
  async write(client: Client, bulk: Bulk, signal: AbortSignal): Promise<Outcome[]> {
    if (bulk.records === 0) return [];
    let items: readonly BulkItem[];
    const [first] = bulk.pieces;
    const body = first !== undefined && bulk.pieces.length === 1 ? first : Buffer.concat(bulk.pieces);
    try {
      items = await this.#send(client, body, bulk.records, signal);
    } catch (error) {
      if (mayHaveStored(error)) this.#repeats.unanswered(bulk);
      if (!isTooLarge(error)) throw error;
      // It may be answered before it was sent as a whole.
      bulk.keep();
      if (bulk.records === 1) {
        const reason = `larger than Elasticsearch, or a proxy before it, takes (413): ${body.length} bytes`;
        return [{ status: 'rejected', reason }];
      }
      const indices = Array.from({ length: bulk.records }, (_, index) => index);
      const half = Math.ceil(bulk.records / 2);
      const before = await this.write(client, bulk.pick(indices.slice(0, half)), signal);
      return [...before, ...(await this.write(client, bulk.pick(indices.slice(half)), signal))];
    }
    if (bulk.pieces.length > 1) freeMemory(body);
    if (this.#repeats.isFirst(bulk, items)) return items.map(() => stored);
    await this.#repeats.mend(client, bulk, items, signal);
    return items.map(outcomeOf);
  }

  async #send(client: Client, body: Buffer, expected: number, signal: AbortSignal): Promise<BulkItem[]> {
    // As `client.bulk` does, which takes no bytes.
    const { items = [], alike }: Answer = await client.transport.request(
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
    const [first] = items;
    const all = alike === undefined || first === undefined ? items : Array<BulkAction>(alike).fill(first);
    const created = all.flatMap(({ create }) => create ?? []);
    if (created.length !== expected)
      throw new SinkError('unavailable', 'Elasticsearch answered for other documents than those sent');
    return created;
  }
}

/** One of the actions of a bulk. */
interface BulkAction {
  readonly create?: BulkItem;
}

/** What a bulk is answered. */
interface Answer {
  readonly items?: readonly BulkAction[];
  /** The items are so many like the first. */
  readonly alike?: number;
}

/** Whether documents may be stored although an attempt failed: only Elasticsearch's own refusal says that they are not. */
function mayHaveStored(error: unknown): boolean {
  const status = error instanceof errors.ResponseError ? (error.statusCode ?? 0) : 0;
  return status < 400 || status >= 500 || status === 408;
}

const stored: Outcome = { status: 'indexed' };
