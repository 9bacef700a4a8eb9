import { CursorError } from '../../ingest/query/cursor.ts';
import type { SearchRequest } from '../../ingest/query/search.ts';
import type { Handler } from '../http/state.ts';
import { askSink, untilGone } from './ask-sink.ts';
import { invalid, Parameters } from './parameters.ts';
import type { LogPipeline } from './pipeline.ts';

/** The most records that one search returns. */
export const mostRecords = 50_000;

/** `GET /api/logs`: what the sink has, newest first. */
export function searchLogs(pipeline: Pick<LogPipeline, 'search'>): Handler {
  return async (ctx) => {
    const parameters = new Parameters(ctx.query, ['q', 'since', 'until', 'limit', 'before'], Date.now());
    const limit = parameters.count('limit', 100, mostRecords);
    const [query, since, until] = [parameters.query('q'), parameters.moment('since'), parameters.moment('until')];
    const before = parameters.text('before');
    const request: SearchRequest = {
      limit,
      ...(query !== undefined && { query }),
      ...(since !== undefined && { since }),
      ...(until !== undefined && { until }),
      ...(before !== undefined && { before }),
    };
    const { records, next } = await askSink(pipeline.search(request, untilGone(ctx.res))).catch((error: unknown) => {
      throw error instanceof CursorError ? invalid('before', error.message) : error;
    });
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Content-Type', 'application/json; charset=utf-8');
    const cursor = next === undefined ? '' : `,"next":${JSON.stringify(next)}`;
    ctx.body = Buffer.from(`{"records":[${records.join(',')}]${cursor}}`);
  };
}
