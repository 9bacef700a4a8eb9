import type { Bulk } from '../bulk.ts';
import type { ArrivalPage, ArrivalRequest } from '../query/arrivals.ts';
import type { Histogram, HistogramRequest } from '../query/histogram.ts';
import type { SearchPage, SearchRequest } from '../query/search.ts';

/**
 * What became of one document of a delivery.
 *
 * - `indexed`: it is stored, durably. `duplicate`: it was stored before (same id); that too is success.
 * - `failure_store`: Elasticsearch kept it in its failure store.
 * - `rejected`: the document itself is to blame, and always will be.
 * - `retry`: not now (429, 5xx, a block on the index); the document is to be sent again, alone. `overloaded`: fewer
 *   deliveries at once would help.
 */
export type Outcome =
  | { readonly status: 'indexed' | 'duplicate' | 'failure_store' }
  | { readonly status: 'rejected'; readonly reason: string }
  | { readonly status: 'retry'; readonly reason: string; readonly overloaded?: boolean };

/** A sink that takes nothing at the moment: it is away, or refuses every document alike. Nothing was dropped. */
export class SinkError extends Error {
  override readonly name = 'SinkError';
  /** `unavailable`: away or overloaded; `refused`: someone must mend something (credentials, rights, a template). */
  readonly code: 'unavailable' | 'refused';

  constructor(code: 'unavailable' | 'refused', message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Where documents are kept and found. */
export interface Sink extends AsyncDisposable {
  readonly name: 'embedded' | 'elasticsearch';
  /** How many deliveries it may be given at once. */
  readonly mostDeliveries: number;
  /** Records that may be there twice, of those that it was given. */
  readonly possibleDuplicates: number;

  /**
   * Stores documents; the answer has one outcome for each, in their order. Nothing is dropped on the way. Once it has
   * answered, it reads the bulk no more; when it has thrown, it may.
   * @throws {SinkError} when no document was judged; the whole batch is to be sent again.
   */
  deliver(bulk: Bulk, signal: AbortSignal): Promise<Outcome[]>;

  /**
   * Finds documents, newest first, by (`@timestamp`, `event.sequence`).
   * @throws {SinkError} when the sink is away.
   */
  search(request: SearchRequest, signal: AbortSignal): Promise<SearchPage>;

  /**
   * Counts documents by `@timestamp`.
   * @throws {SinkError} when the sink is away, or the count takes too long.
   */
  histogram(request: HistogramRequest, signal: AbortSignal): Promise<Histogram>;

  /**
   * Finds documents by when they came.
   * @throws {SinkError} when the sink is away.
   */
  arrivals(request: ArrivalRequest, signal: AbortSignal): Promise<ArrivalPage>;
}
