import { Buffer } from 'node:buffer';
import type { StoredBlock } from '../../ingest/block.ts';
import { createRenderer } from '../../ingest/parse/documents.ts';
import { Bulk } from '../../ingest/bulk.ts';
import type { Config } from '../config.ts';
import { rulesOf } from './rules.ts';

/** What rules would do with a line. */
export interface Verdict {
  readonly line: string;
  /** Absent: it would be dropped. */
  readonly message?: string;
  /** Those that would drop or change it, in order. */
  readonly rules: readonly string[];
}

/** Says of lines, with a syslog header or without, what the rules of a configuration would do with each; no rate limit. */
export async function* tryRules(config: Config, lines: AsyncIterable<string>): AsyncGenerator<Verdict> {
  const { ingest } = config;
  const { cluster: fallback, sources } = ingest.tags;
  const rules = rulesOf({ ...config, ingest: { ...ingest, rate_limit: 'off' } });
  const renderer = createRenderer({
    clusters: { fallback, reserved: new Set(sources.map(({ cluster }) => cluster)) },
    dataset: 'docker',
    namespace: 'default',
    lookup: async () => undefined,
    rules,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  const segment = { id: '00'.repeat(16), base: Date.now() * 1000 };
  let offset = 0;
  let before = rules.counts;
  for await (const line of lines) {
    const payload = Buffer.from(`${line}\n`);
    const source = { listener: 'syslog-tcp', connection: '00'.repeat(16) };
    const block: StoredBlock = {
      kind: 'lf-stream',
      source,
      flags: {},
      payload,
      arrivedAt: Date.now() * 1000,
      segment,
      offset,
    };
    offset += payload.length;
    const rendering = renderer.open([]);
    const parts = await Array.fromAsync(rendering.documents(block, { segment: 0, offset: 0 }, AbortSignal.any([])));
    const documents = [...Bulk.join([...parts, rendering.end()])];
    const after = rules.counts;
    const acted = Object.keys(after).filter((name) => after[name] !== before[name]);
    before = after;
    if (rendering.dropped > 0) yield { line, rules: acted };
    else for (const { json } of documents) yield { line, message: messageOf(json), rules: acted };
  }
}

function messageOf(json: string): string {
  const { message }: { readonly message: string } = JSON.parse(json);
  return message;
}
