import type { ArrivalPage } from '../query/arrivals.ts';
import type { Histogram } from '../query/histogram.ts';
import { arrivals, type ArrivalTask } from './embedded-arrivals.ts';
import { histogram, type HistogramTask } from './embedded-histogram.ts';
import { type Found, search, type SearchTask } from './embedded-search.ts';
import { serve } from './embedded-worker.ts';

/** What a thread that reads is asked. */
export type ReaderRequest =
  | ({ readonly kind: 'search' } & SearchTask)
  | ({ readonly kind: 'histogram' } & HistogramTask)
  | ({ readonly kind: 'arrivals' } & ArrivalTask);

/** What it answers. */
export type ReaderAnswer =
  | ({ readonly kind: 'search' } & Found)
  | ({ readonly kind: 'histogram' } & Histogram)
  | ({ readonly kind: 'arrivals' } & ArrivalPage);

serve(answer);

function answer(request: ReaderRequest): ReaderAnswer {
  switch (request.kind) {
    case 'search':
      return { kind: 'search', ...search(request) };
    case 'histogram':
      return { kind: 'histogram', ...histogram(request) };
    case 'arrivals':
      return { kind: 'arrivals', ...arrivals(request) };
  }
}
