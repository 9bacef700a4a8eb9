import type { ParsedUrlQuery } from 'node:querystring';
import { CursorError } from '../../ingest/query/cursor.ts';
import { QuerySyntaxError } from '../../ingest/query/errors.ts';
import { parseQuery } from '../../ingest/query/parse.ts';
import type { SearchPage, SearchRequest } from '../../ingest/query/search.ts';
import { SinkError } from '../../ingest/sinks/sink.ts';
import { HttpError } from '../http/errors.ts';
import type { Handler } from '../http/state.ts';
import { momentForms, parseMoment } from './moment.ts';
import type { LogPipeline } from './pipeline.ts';

/** The most records that one search returns. */
export const mostRecords = 50_000;

const parameters = ['q', 'since', 'until', 'limit', 'before'] as const;
type Parameter = (typeof parameters)[number];

/** `GET /api/logs`: what the sink has, newest first. */
export function searchLogs(pipeline: Pick<LogPipeline, 'search'>): Handler {
  return async (ctx) => {
    const request = readRequest(ctx.query, Date.now());
    const gone = new AbortController();
    // The client may have gone while it was found out who it is.
    if (ctx.res.destroyed) gone.abort();
    ctx.res.once('close', () => gone.abort());
    const { records, next } = await search(pipeline, request, gone.signal);
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Content-Type', 'application/json; charset=utf-8');
    const cursor = next === undefined ? '' : `,"next":${JSON.stringify(next)}`;
    ctx.body = Buffer.from(`{"records":[${records.join(',')}]${cursor}}`);
  };
}

async function search(
  pipeline: Pick<LogPipeline, 'search'>,
  request: SearchRequest,
  signal: AbortSignal,
): Promise<SearchPage> {
  try {
    return await pipeline.search(request, signal);
  } catch (cause) {
    if (cause instanceof CursorError) throw invalid('before', cause.message);
    if (!(cause instanceof SinkError)) throw cause;
    throw new HttpError(503, 'UNAVAILABLE', `the log store does not answer: ${cause.message}`, {
      headers: { 'Retry-After': '5' },
      cause,
    });
  }
}

function invalid(parameter: string, message: string, detail?: object): HttpError {
  return new HttpError(400, 'PARAMETER_INVALID', `${parameter}: ${message}`, { detail: { parameter, ...detail } });
}

/** What a query string asks for. `now` in ms. @throws {HttpError} 400, which names the parameter that is wrong. */
function readRequest(query: ParsedUrlQuery, now: number): SearchRequest {
  for (const [name, value] of Object.entries(query)) {
    if (!parameters.some((known) => known === name)) {
      throw invalid(name, `there is no such parameter; there are ${parameters.join(', ')}`);
    }
    if (Array.isArray(value)) throw invalid(name, 'give it once');
  }
  const get = (name: Parameter): string | undefined => {
    const value = query[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const moment = (name: 'since' | 'until'): number | undefined => {
    const text = get(name);
    const time = text === undefined ? undefined : parseMoment(text, now);
    if (text !== undefined && time === undefined) throw invalid(name, `expected ${momentForms}`);
    return time;
  };
  const limit = get('limit') ?? '100';
  if (!/^\d{1,5}$/.test(limit) || Number(limit) < 1 || Number(limit) > mostRecords) {
    throw invalid('limit', `expected a number from 1 to ${mostRecords}`);
  }
  const [parsed, since, until, before] = [readQuery(get('q') ?? ''), moment('since'), moment('until'), get('before')];
  return {
    limit: Number(limit),
    ...(parsed !== undefined && { query: parsed }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(before !== undefined && { before }),
  };
}

function readQuery(text: string): SearchRequest['query'] {
  try {
    return parseQuery(text);
  } catch (error) {
    if (!(error instanceof QuerySyntaxError)) throw error;
    throw new HttpError(400, 'QUERY_INVALID', `q, at character ${error.position + 1}: ${error.message}`, {
      detail: { parameter: 'q', code: error.code, position: error.position },
    });
  }
}
