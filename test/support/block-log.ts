import type { Source, StoredBlock } from '../../ingest/block.ts';
import { createRenderer, type Renderer, type RendererOptions } from '../../ingest/parse/documents.ts';
import type { Unfinished } from '../../ingest/spool/checkpoint.ts';
import type { Position } from '../../ingest/spool/reader.ts';
import { quiet } from './log.ts';
import { documentsIn, type TestRecord } from './rendered.ts';
import { noon } from './rendering.ts';

const forever = new AbortController().signal;
const segment = { id: 'ab'.repeat(16), base: noon };

/** A renderer without rules, and with a registry that knows no image, unless it is said. */
export function rendererOf(options: Partial<RendererOptions> = {}): Renderer {
  return createRenderer({
    clusters: { fallback: 'default', reserved: new Set() },
    dataset: 'docker',
    namespace: 'main',
    lookup: async () => undefined,
    log: quiet,
    ...options,
  });
}

/** The source of a connection of a number. */
export function sourceOf(connection: number): Source {
  return {
    listener: 'syslog-tcp',
    connection: String(connection).padStart(32, '0'),
    peer: { address: '10.0.0.9', port: 4711 },
  };
}

/** How the reading stands behind a block. */
export interface End {
  /** Blocks that need not be read again to find what is not whole. */
  readonly resume: number;
  /** Records so far. */
  readonly found: number;
  readonly unfinished: readonly Unfinished[];
}

/** Lines of the spool, laid out as blocks one behind the other. */
export class BlockLog {
  readonly blocks: { readonly block: StoredBlock; readonly at: Position; readonly after: Position }[] = [];
  #offset = 64;

  add(payload: Uint8Array | string, extra: Partial<StoredBlock> = {}): void {
    const bytes = Buffer.from(payload);
    const at = { segment: 1, offset: this.#offset };
    const offset = this.#offset + 100;
    this.#offset = offset + bytes.length;
    const block: StoredBlock = {
      kind: 'lf-stream',
      source: sourceOf(1),
      arrivedAt: noon,
      flags: {},
      segment,
      offset,
      ...extra,
      payload: bytes,
    };
    this.blocks.push({ block, at, after: { segment: 1, offset: this.#offset } });
  }

  /** Reads from behind so many blocks on; answers records, and how it stands behind each block. */
  async read(
    from = 0,
    unfinished: readonly Unfinished[] = [],
    options: Partial<RendererOptions> = {},
  ): Promise<{ records: TestRecord[]; ends: End[] }> {
    const rendering = rendererOf(options).open(unfinished);
    const records: TestRecord[] = [];
    const ends: End[] = [];
    for (const { block, at, after } of this.blocks.slice(from)) {
      for await (const some of rendering.documents(block, at, forever)) {
        records.push(...documentsIn(some).map(({ record }) => record));
      }
      const { since = after } = rendering;
      const resume = this.blocks.filter((one) => one.at.offset < since.offset).length;
      ends.push({ resume, found: records.length, unfinished: JSON.parse(JSON.stringify(rendering.unfinished)) });
    }
    records.push(...documentsIn(rendering.end()).map(({ record }) => record));
    return { records, ends };
  }

  async messages(): Promise<string[]> {
    return (await this.read()).records.map(({ message }) => message);
  }
}
