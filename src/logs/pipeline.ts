import type { RendererCounts } from '../../ingest/parse/documents.ts';
import type { Pipeline, PipelineStatus } from '../../ingest/pipeline.ts';

/** What the HTTP side needs of the log pipeline. */
export interface LogPipeline extends Pick<
  Pipeline,
  | 'addresses'
  | 'accept'
  | 'search'
  | 'histogram'
  | 'arrivals'
  | 'deadLetters'
  | 'removeOwnLetters'
  | 'quarantineSize'
  | 'share'
  | 'totals'
  | 'drain'
> {
  /** How it is, and what was read since the start. */
  status(): PipelineStatus & Pick<RendererCounts, 'parseFailures' | 'lookupFailures' | 'rules'>;
}
