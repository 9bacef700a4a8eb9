import { type Client, errors } from '@elastic/elasticsearch';
import type { Bulk } from '../bulk.ts';
import type { Log } from '../log.ts';
import type { BulkItem } from './elasticsearch-errors.ts';

/** What the bulk answered for the document of an id. */
type Answered = readonly [id: string, item: BulkItem];

/** A backing index of the data stream. */
interface BackingIndex {
  readonly name: string;
  /** ms since 1970, by Elasticsearch's clock. */
  readonly createdAt: number;
}

/** By so much, in ms, our clock may be behind Elasticsearch's. */
const skew = 3_600_000;
/** So many indices before the one that is written to are looked into. */
const generations = 4;

/**
 * A data stream knows an id only within the index that is written to. What was sent there without an answer, and is
 * sent again after a rollover, is there twice: then the second copy is deleted, or counted where that is not allowed.
 * What arrived in an earlier life may have been sent by that one.
 */
export class Repeats {
  readonly #stream: string;
  readonly #log: Log;
  /** µs since 1970. */
  readonly #openedAt = Date.now() * 1000;
  /** Ids that were sent without an answer, with the index that was written to then, as far as it was known. */
  readonly #unanswered = new Map<string, string | undefined>();
  /** Oldest first. */
  #indices: readonly BackingIndex[] = [];
  /** The index that was written to when they were listed. */
  #listedFor: string | undefined;
  /** The index that is written to, by the last answer. */
  #written: string | undefined;
  #possible = 0;

  constructor(stream: string, log: Log) {
    this.#stream = stream;
    this.#log = log;
  }

  /** Records that may be there twice. */
  get possible(): number {
    return this.#possible;
  }

  /** The documents may have been stored or not. */
  unanswered(documents: Iterable<{ readonly id: string }>): void {
    for (const { id } of documents) {
      if (!this.#unanswered.has(id)) this.#unanswered.set(id, this.#written);
    }
  }

  /**
   * Whether all documents were stored just now, in the index that was written to before, and none can be in an earlier
   * one: there is nothing to mend, which is almost always so.
   */
  isFirst({ oldest }: Bulk, items: readonly BulkItem[]): boolean {
    return (
      this.#unanswered.size === 0 &&
      oldest >= this.#openedAt &&
      items.every(({ status, _index, failure_store: store }) => status === 201 && _index === this.#written && !store)
    );
  }

  /** Finds what is stored for the second time, and deletes the second copy. Throws what the client throws. */
  async mend(client: Client, bulk: Bulk, items: readonly BulkItem[], signal: AbortSignal): Promise<void> {
    const answered: Answered[] = [];
    for (const { id } of bulk) {
      const item = items[answered.length];
      if (item !== undefined) answered.push([id, item]);
    }
    const stored = answered.filter(([, item]) => isStored(item));
    for (const [index, those] of Map.groupBy(stored, ([, item]) => item._index ?? '')) {
      const ids = await this.#suspects(client, index, those, bulk.oldest, signal);
      if (ids.length > 0) await this.#mendIndex(client, index, ids, signal);
    }
    for (const [id, item] of answered) {
      if (isStored(item)) this.#written = item._index;
      if (item.status < 500 && item.status !== 429) this.#unanswered.delete(id);
      else if (item.status >= 500) this.unanswered([{ id }]);
    }
  }

  /** Ids that an earlier index may have too. */
  async #suspects(
    client: Client,
    index: string,
    stored: readonly Answered[],
    oldest: number,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const ids = stored.map(([id]) => id);
    const resent = ids.filter((id) => this.#unanswered.has(id) && this.#unanswered.get(id) !== index);
    const isInherited = oldest < this.#openedAt;
    if (resent.length === 0 && !isInherited) return [];
    if (this.#listedFor !== index) {
      this.#indices = await this.#list(client, signal);
      this.#listedFor = index;
    }
    const begun = this.#indices.find(({ name }) => name === index)?.createdAt ?? 0;
    // All are as old as the oldest, as far as anyone knows: some are looked for in vain.
    return isInherited && oldest / 1000 - skew < begun ? ids : resent;
  }

  async #list(client: Client, signal: AbortSignal): Promise<BackingIndex[]> {
    try {
      const settings = await client.indices.getSettings(
        { index: this.#stream, name: 'index.creation_date', flat_settings: true },
        { signal },
      );
      const indices = Object.entries(settings).map(([name, { settings }]) => {
        return { name, createdAt: Number(settings?.['index.creation_date']) };
      });
      return indices.toSorted((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1));
    } catch (error) {
      if (isForbidden(error)) return [];
      throw error;
    }
  }

  async #mendIndex(client: Client, index: string, ids: readonly string[], signal: AbortSignal): Promise<void> {
    const at = this.#indices.findIndex(({ name }) => name === index);
    if (at < 0) {
      // Nobody told which indices there are.
      this.#count(index, ids.length);
      return;
    }
    for (const { name } of this.#indices.slice(Math.max(0, at - generations), at)) {
      const { found, unknown } = await this.#find(client, name, ids, signal);
      if (found.length > 0) await this.#delete(client, index, found, signal);
      if (unknown > 0) this.#count(index, unknown);
    }
  }

  /** Which ids an index has; of some nobody may be able to tell. */
  async #find(
    client: Client,
    index: string,
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly found: string[]; readonly unknown: number }> {
    try {
      const { docs } = await client.mget({ index, ids: [...ids], _source: false }, { signal });
      const found = docs.filter((doc) => 'found' in doc && doc.found).map(({ _id }) => _id);
      return { found, unknown: docs.filter((doc) => 'error' in doc).length };
    } catch (error) {
      if (isForbidden(error)) return { found: [], unknown: ids.length };
      throw error;
    }
  }

  async #delete(client: Client, index: string, ids: readonly string[], signal: AbortSignal): Promise<void> {
    let kept = 0;
    try {
      const operations = ids.map((_id) => ({ delete: { _id } }));
      const { items } = await client.bulk({ index, operations }, { signal });
      kept = items.filter((item) => ![200, 404].includes(item.delete?.status ?? 0)).length;
    } catch (error) {
      if (!isForbidden(error)) throw error;
      kept = ids.length;
    }
    if (kept > 0) this.#count(index, kept);
    const records = ids.length - kept;
    if (records > 0) {
      this.#log.info({ records, index }, 'records were stored twice over a rollover; their second copies are deleted');
    }
  }

  #count(index: string, records: number): void {
    this.#possible += records;
    this.#log.warn(
      { records, index },
      'records may be stored twice since a rollover; to have second copies deleted, the credentials need the ' +
        'privileges read, view_index_metadata and delete on the data stream',
    );
  }
}

function isStored({ status, failure_store: store }: BulkItem): boolean {
  return store !== 'used' && ((status >= 200 && status < 300) || status === 409);
}

function isForbidden(error: unknown): boolean {
  return error instanceof errors.ResponseError && [401, 403, 404].includes(error.statusCode ?? 0);
}
