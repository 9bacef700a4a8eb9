import { shortNames } from '../../ingest/query/fields.ts';
import type { Histogram, HistogramRequest } from '../../ingest/query/histogram.ts';
import type { Handler } from '../http/state.ts';
import { askSink, untilGone } from './ask-sink.ts';
import { invalid, Parameters } from './parameters.ts';
import type { LogPipeline } from './pipeline.ts';

const mostBuckets = 1000;
const hour = 3_600_000;

/** `GET /api/logs/histogram`: how many records there are over time, and of which host, image, level … */
export function countLogs(pipeline: Pick<LogPipeline, 'histogram'>): Handler {
  return async (ctx) => {
    const now = Date.now();
    const parameters = new Parameters(ctx.query, ['q', 'since', 'until', 'buckets', 'by'], now);
    const until = parameters.moment('until') ?? now;
    const since = Math.max(0, parameters.moment('since') ?? until - hour);
    if (since >= until) throw invalid('since', 'expected a time before until');
    const interval = Math.ceil((until - since) / parameters.count('buckets', 60, mostBuckets));
    const [query, field] = [parameters.query('q'), fieldOf(parameters.text('by'))];
    const request: HistogramRequest = {
      since,
      until,
      interval,
      ...(query !== undefined && { query }),
      ...(field !== undefined && { field }),
    };
    const counted = await askSink(pipeline.histogram(request, untilGone(ctx.res)));
    ctx.set('Cache-Control', 'no-store');
    ctx.body = render(request, counted);
  };
}

/** The field of a short name: the first, where it stands for several. */
function fieldOf(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const [field] = shortNames.get(name) ?? [];
  if (field === undefined) throw invalid('by', `expected one of ${[...shortNames.keys()].join(', ')}`);
  return field;
}

function render({ since, until, interval, field }: HistogramRequest, { counts, values }: Histogram): object {
  const at = (ms: number): string => new Date(ms).toISOString();
  const buckets = counts.map((count, index) => {
    const there = values.filter(({ counts }) => (counts[index] ?? 0) > 0);
    const by = Object.fromEntries(there.map(({ value, counts }) => [value, counts[index]]));
    return { time: at(since + index * interval), count, ...(field !== undefined && { by }) };
  });
  return { since: at(since), until: at(until), interval, buckets };
}
