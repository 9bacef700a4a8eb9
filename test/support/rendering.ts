import type { Block, Source, StoredBlock } from '../../ingest/block.ts';
import type { ImageFacts } from '../../ingest/images.ts';
import { createRenderer } from '../../ingest/parse/documents.ts';
import { joinDatagrams } from '../../ingest/parse/frames.ts';
import { quiet } from './log.ts';

/** When blocks arrive, unless it is said: µs since 1970. */
export const noon: number = Date.UTC(2026, 10, 24, 12) * 1000;

/** A document as it goes to a sink. */
export type Document = Readonly<Record<string, unknown>>;

/** What blocks become, laid out one behind the other, with `team/web` known to the registry. */
export async function documentsOf(blocks: readonly Block[], facts?: ImageFacts): Promise<Document[]> {
  const renderer = createRenderer({
    clusters: { fallback: 'default', reserved: new Set(['guarded']) },
    dataset: 'docker',
    namespace: 'main',
    lookup: async ({ repository }) => (repository === 'team/web' ? facts : undefined),
    log: quiet,
  });
  const rendering = renderer.open([]);
  const found: Document[] = [];
  let offset = 64;
  for (const block of blocks) {
    const stored: StoredBlock = { ...block, segment: { id: 'ab'.repeat(16), base: noon }, offset: offset + 100 };
    const parts = rendering.documents(stored, { segment: 1, offset }, new AbortController().signal);
    for await (const some of parts) found.push(...Array.from(some, ({ json }) => JSON.parse(json)));
    offset += 100 + block.payload.length;
  }
  found.push(...Array.from(rendering.end(), ({ json }) => JSON.parse(json)));
  return found;
}

/** A block of messages, each of which is a frame. */
export function messages(
  kind: 'forward' | 'gelf',
  frames: readonly (Uint8Array | string)[],
  more: Partial<Block> & { readonly from?: Partial<Source> } = {},
): Block {
  const { from, ...rest } = more;
  const source: Source = {
    listener: kind,
    connection: '1'.repeat(32),
    peer: { address: '10.0.0.9', port: 4711 },
    ...from,
  };
  const payload = joinDatagrams(frames.map((frame) => Buffer.from(frame)));
  return { kind, source, arrivedAt: noon, flags: {}, payload, ...rest };
}
