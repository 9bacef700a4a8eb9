import type { Block } from '../../ingest/block.ts';
import type { SearchPage, SearchRequest } from '../../ingest/query/search.ts';

/** What the HTTP side needs of the log pipeline. */
export interface LogPipeline {
  /**
   * Resolves when the block is committed in the spool.
   * @throws an error with the code `full` while the spool takes nothing.
   */
  accept(block: Block): Promise<void>;
  /** @throws {SinkError} when the sink is away. */
  search(request: SearchRequest, signal: AbortSignal): Promise<SearchPage>;
}
