import { Counter, Gauge, type Registry } from 'prom-client';
import type { PipelineTotals } from '../../ingest/pipeline.ts';
import type { LogPipeline } from './pipeline.ts';

/** Listeners of what is not syslog, as metrics name them. */
const listenerNames: ReadonlyMap<string, string> = new Map([
  ['forward', 'forward'],
  ['forwardTls', 'forward_tls'],
  ['forwardUnix', 'forward_unix'],
  ['gelfTcp', 'gelf_tcp'],
  ['gelfUdp', 'gelf_udp'],
]);

/** Adds to the metrics what the pipeline counts; it is asked when they are. */
export function measureLogs(registry: Registry, pipeline: Pick<LogPipeline, 'status' | 'quarantineSize'>): void {
  function counter(name: string, help: string, label: string, read: () => Readonly<Record<string, number>>): void {
    const metric = new Counter({
      name,
      help,
      labelNames: [label],
      registers: [],
      collect() {
        this.reset();
        for (const [value, count] of Object.entries(read())) this.inc({ [label]: value }, count);
      },
    });
    registry.registerMetric(metric);
  }

  function gauge(
    name: string,
    help: string,
    read: () => number | Promise<number>,
    aggregator: 'sum' | 'max' | 'min' = 'sum',
  ): void {
    const metric = new Gauge({
      name,
      help,
      aggregator,
      registers: [],
      async collect() {
        this.set(await read());
      },
    });
    registry.registerMetric(metric);
  }

  counter('shiplog_render_failures_total', 'Records that were shipped without a part, since the start.', 'part', () => {
    const { parseFailures, lookupFailures } = pipeline.status();
    return { parse: parseFailures, lookup: lookupFailures };
  });
  counter(
    'shiplog_log_rule_records_total',
    'Records that a rule of ingest.rules, or rate_limit, dropped or changed, since the start.',
    'rule',
    () => pipeline.status().rules,
  );
  counter('shiplog_sink_deliveries_total', 'Bulks to the log store since the start, each attempt.', 'outcome', () => {
    const { taken, failed } = pipeline.status().deliveries;
    return { taken, failed };
  });
  counter('shiplog_sink_records_total', 'Records of which something is to be told, since the start.', 'event', () => {
    const { deliveries, possibleDuplicates } = pipeline.status();
    return { retried: deliveries.retriedRecords, possibly_duplicate: possibleDuplicates };
  });
  counter('shiplog_dead_letters_total', 'Records in the dead letters since the start.', 'event', () => {
    const { added, removed, dropped } = pipeline.status().deadLetters;
    return { added, removed, dropped };
  });
  for (const listener of Object.keys(pipeline.status().listeners)) {
    const name = listenerNames.get(listener) ?? `syslog_${listener}`;
    counter(
      `shiplog_${name}_total`,
      `What the listener ${name} counted since the start.`,
      'event',
      () => pipeline.status().listeners[listener] ?? {},
    );
  }
  gauge('shiplog_spool_size_bytes', 'Size of the files of the spool.', () => pipeline.status().spoolSize);
  gauge('shiplog_spool_full', '1 while the spool takes nothing.', () => Number(pipeline.status().spoolFull), 'max');
  gauge(
    'shiplog_spool_quarantine_bytes',
    'Size of damaged parts of the spool that are kept.',
    () => pipeline.quarantineSize(),
    'max',
  );
  gauge(
    'shiplog_log_held_lines',
    'Lines that came in pieces and wait for their rest.',
    () => pipeline.status().held.lines,
  );
  gauge(
    'shiplog_log_held_bytes',
    'Bytes of their pieces, each of which counts as 4 KiB at least.',
    () => pipeline.status().held.bytes,
  );
  gauge('shiplog_dead_letters_bytes', 'Size of the dead letters.', () => pipeline.status().deadLetters.bytes, 'max');
  gauge(
    'shiplog_log_lag_seconds',
    'How long ago the oldest record came that is not delivered.',
    () => pipeline.status().lag / 1000,
    'max',
  );
  gauge(
    'shiplog_sink_deliveries_under_way',
    'Bulks that the log store has not answered.',
    () => pipeline.status().deliveries.underWay,
  );
  gauge(
    'shiplog_sink_deliveries_at_once',
    'How many bulks may be under way: it rises while the log store keeps pace, and halves when it is overloaded.',
    () => pipeline.status().deliveries.window,
  );
  gauge(
    'shiplog_sink_up',
    '0 while the sink takes no records.',
    () => Number(pipeline.status().trouble === undefined),
    'min',
  );
}

/** What became of all that came in, over all lives and processes, as the ledgers have it. */
export function measureTotals(registry: Registry, totals: PipelineTotals): void {
  const counter = (name: string, help: string, label: string, values: Readonly<Record<string, number>>): void => {
    const metric = new Counter({ name, help, labelNames: [label], registers: [registry] });
    for (const [value, count] of Object.entries(values)) metric.inc({ [label]: value }, count);
  };
  counter(
    'shiplog_spool_bytes_total',
    'Payload bytes, over all lives: committed = read + unread + dropped + quarantined.',
    'state',
    {
      committed: totals.committedBytes,
      read: totals.readBytes,
      unread: totals.unreadBytes,
      dropped: totals.droppedBytes,
      quarantined: totals.quarantinedBytes,
    },
  );
  counter(
    'shiplog_log_records_total',
    'Records, over all lives: read = indexed + failure_store + dead_lettered + dropped + in_flight.',
    'outcome',
    {
      read: totals.readRecords,
      indexed: totals.indexedRecords,
      failure_store: totals.failureStoreRecords,
      dead_lettered: totals.deadLetteredRecords,
      dropped: totals.droppedRecords,
      in_flight: totals.inFlightRecords,
    },
  );
}
