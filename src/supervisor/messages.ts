import type { MetricObject, MetricObjectWithValues, MetricValue } from 'prom-client';
import type { SpoolShare } from '../../ingest/pipeline.ts';
import type { Service } from '../service.ts';
import type { GivenSocket } from './sockets.ts';

/** Metrics as a worker counted them. */
export type MetricFamily = MetricObject | MetricObjectWithValues<MetricValue<string>>;

/** What one worker asks all workers of this machine, itself included. */
export type Question =
  /** What did you count? */
  | { readonly about: 'metrics' }
  /** Remove these dead letters, or all; each worker keeps its own. */
  | { readonly about: 'letters'; readonly ids: readonly string[] | undefined };

/** What a worker answers. */
export type Answer =
  | { readonly about: 'metrics'; readonly families: readonly MetricFamily[]; readonly share: SpoolShare }
  | { readonly about: 'letters'; readonly removed: number };

/** How the supervisor and its workers stand, as metrics tell. */
export interface Crew {
  /** Workers that take connections. */
  readonly workers: number;
  /** Those that died since the start, and were replaced. */
  readonly deaths: number;
}

/** What a worker says to its supervisor. */
export type FromWorker =
  | { readonly kind: 'ready'; readonly running: Pick<Service, 'http' | 'syslog' | 'access'> }
  /** It cannot start, or cannot end as it should. */
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer | undefined };

/** What the supervisor says to a worker. */
export type ToWorker =
  /** Begin. Until this is said it loads its program. */
  | { readonly kind: 'start'; readonly orders: WorkerOrders }
  /** Finish what goes on, and end. */
  | { readonly kind: 'end' }
  | { readonly kind: 'question'; readonly id: number; readonly question: Question }
  | { readonly kind: 'answers'; readonly id: number; readonly answers: readonly Answer[]; readonly crew: Crew };

/** What a worker is started with. */
export interface WorkerOrders {
  /** The configuration's file, if `--config` named one: a worker of a newer program reads it by its own schema. */
  readonly file?: string;
  readonly slot: number;
  readonly count: number;
  /** In the order of their descriptors. */
  readonly sockets: readonly GivenSocket[];
}
