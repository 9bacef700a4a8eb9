import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Bulk } from '../../ingest/bulk.ts';
import type { Log } from '../../ingest/log.ts';
import type { ConnectionOptions } from '../../ingest/sinks/elasticsearch-client.ts';
import { SinkError } from '../../ingest/sinks/sink.ts';
import { temporaryFolder } from '../../storage/layout.ts';
import type { Config } from '../config.ts';
import { connectionTo, openSink } from '../logs/open.ts';
import { openDriver } from '../open-driver.ts';
import { compareClock } from './clock.ts';
import { type Check, failed, ok, type Finding, skipped } from './finding.ts';

/** Where images and logs are kept. */
export function storeChecks(config: Config): Check[] {
  return [
    { name: 'images', look: () => lookAtImages(config) },
    { name: 'log store', look: () => lookAtLogStore(config) },
  ];
}

/** Puts something small, reads it and removes it. */
async function lookAtImages(config: Config): Promise<Finding> {
  const { storage } = config;
  const place = storage.driver === 's3' ? `the bucket ${storage.s3.bucket}` : storage.disk.root;
  if (storage.driver === 'disk' && !(await exists(storage.disk.root))) {
    return skipped(`${place} is not there yet; it is made at the first start`);
  }
  await using driver = await openDriver(config);
  if (storage.read_only) {
    await driver.list('docker/registry/v2');
    return ok(`${place} can be read; storage.read_only is set`);
  }
  const key = `${temporaryFolder}/doctor-${randomUUID()}`;
  const bytes = Buffer.from('shiplog doctor');
  await driver.put(key, bytes);
  const read = await driver.get(key, bytes.length);
  await driver.delete(key);
  if (read === undefined || !bytes.equals(read)) {
    return failed(`what was put into ${place} reads otherwise`, 'look at that disk, or at that server');
  }
  return ok(`${place} can be written and read`);
}

async function lookAtLogStore(config: Config): Promise<Finding> {
  const { logs } = config;
  if (logs.sink === 'embedded') return skipped('it is embedded in the server: see there');
  const said: string[] = [];
  const log: Log = { info: noteOf(said), warn: noteOf(said), error: noteOf(said) };
  await using sink = await openSink(config, log);
  const { dataset, namespace } = logs.elasticsearch;
  try {
    const [outcome] = await sink.deliver(record(dataset, namespace), AbortSignal.timeout(60_000));
    if (outcome?.status === 'indexed') {
      const clocks = await lookAtClocks(await connectionTo(logs.elasticsearch));
      return clocks ?? ok([...said, 'a record was written'].join('; '));
    }
    const reason = outcome !== undefined && 'reason' in outcome ? outcome.reason : `the outcome is ${outcome?.status}`;
    return failed(`Elasticsearch did not take a record: ${reason}`, 'see what its log says of that');
  } catch (error) {
    if (!(error instanceof SinkError)) throw error;
    const mend =
      error.code === 'unavailable'
        ? 'see that it runs, and that logs.elasticsearch.nodes names it'
        : 'someone must change that; nothing was dropped, records wait in the spool';
    return failed(error.message, mend);
  }
}

/** Undefined: those of all nodes are right, or cannot be asked for. */
async function lookAtClocks(connection: ConnectionOptions): Promise<Finding | undefined> {
  const { readClocks } = await import('../../ingest/sinks/elasticsearch-clocks.ts');
  const clocks = await readClocks(connection, AbortSignal.timeout(10_000));
  return clocks.map(compareClock).find((finding) => finding !== undefined);
}

/** Keeps what the sink says of version and templates. */
function noteOf(said: string[]): Log['info'] {
  return (fields, message) => {
    const version = 'version' in fields ? ` (version ${String(fields.version)})` : '';
    said.push(`${message}${version}`);
  };
}

function record(dataset: string, namespace: string): Bulk {
  const now = Date.now();
  const id = `doctor-${randomUUID()}`;
  const [message, host, cluster] = ['shiplog doctor was here', hostname(), 'doctor'];
  const time = new Date(now).toISOString();
  const json = {
    '@timestamp': time,
    message,
    event: { created: time, ingested: time, sequence: 0, dataset },
    data_stream: { type: 'logs', dataset, namespace },
    host: { name: host },
    orchestrator: { cluster: { name: cluster } },
  };
  return Bulk.of([{ id, json: JSON.stringify(json) }], now * 1000);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
