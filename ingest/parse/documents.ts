import { Buffer } from 'node:buffer';
import { setImmediate as breathe } from 'node:timers/promises';
import type { Source, StoredBlock } from '../block.ts';
import type { ImageLookup } from '../images.ts';
import type { Log } from '../log.ts';
import type { LogDocument, LogRecord } from '../record.ts';
import { BoundedMap } from './bounded-map.ts';
import { type Context, contextKey, newContext } from './context.ts';
import { parseObject, readJsonRecord } from './json.ts';
import { KnownImages } from './known-images.ts';
import { renderCommon, renderDocument, type Common, type CommonFacts } from './render-ecs.ts';
import { segmentPrefix, recordId } from './record-id.ts';
import { parseSyslog, readAgain, type SyslogLine } from './syslog.ts';
import { originOf, referenceOf, type ClusterRules } from './tagger.ts';
import { type Text, textsOf } from './texts.ts';
import { formatTime, resolveTime } from './time.ts';

/** What a renderer needs. */
export interface RendererOptions {
  readonly clusters: ClusterRules;
  readonly dataset: string;
  readonly namespace: string;
  readonly lookup: ImageLookup;
  readonly log: Log;
}

/** A document, and where its frame ends in the segment's file. */
export interface RenderedDocument {
  readonly document: LogDocument;
  readonly end: number;
}

/** What a renderer has counted since it was made. Empty frames are no records. */
export interface RendererCounts {
  readonly records: number;
  readonly emptyFrames: number;
  readonly parseFailures: number;
  readonly lookupFailures: number;
}

/** Turns blocks into documents: a pure function of their bytes, but for what the registry says, and `event.ingested`. */
export interface Renderer {
  readonly counts: RendererCounts;
  /**
   * The records of a block, in order, some at a time: a block of a few MiB may hold millions. Never throws but when the
   * signal aborts.
   */
  documents(block: StoredBlock, signal: AbortSignal): AsyncGenerator<RenderedDocument[], void, undefined>;
}

export function createRenderer(options: RendererOptions): Renderer {
  return new BlockRenderer(options);
}

/** Documents that are in memory at once, and their characters of JSON, by about one more; then others get their turn. */
const run = { documents: 1000, characters: 1024 * 1024 } as const;

/** Headers whose rendering is kept, each of at most so many characters. */
const mostContexts = 4096;
const longestHeader = 2048;

/** What is read of one line, beside what it has in common with others. */
interface Own {
  readonly message: string;
  readonly timestamp: number;
  readonly timeOriginal?: string;
  readonly error?: string;
  readonly ecs?: NonNullable<LogRecord['ecs']>;
  readonly fields?: NonNullable<LogRecord['fields']>;
}

/** What a line says that the next one with its header does not. */
type OwnLine = Pick<SyslogLine, 'stamp' | 'message' | 'error'>;

/** What is the same for a whole block. */
interface Batch {
  readonly block: StoredBlock;
  readonly idPrefix: string;
  /** `event.ingested`. */
  readonly ingested: string;
}

class BlockRenderer implements Renderer {
  readonly #options: RendererOptions;
  readonly #images: KnownImages;
  readonly #contexts = new BoundedMap<string, Context>(mostContexts);
  #records = 0;
  #emptyFrames = 0;
  #parseFailures = 0;

  constructor(options: RendererOptions) {
    this.#options = options;
    this.#images = new KnownImages(options.lookup, options.log);
  }

  get counts(): RendererCounts {
    return {
      records: this.#records,
      emptyFrames: this.#emptyFrames,
      parseFailures: this.#parseFailures,
      lookupFailures: this.#images.failures,
    };
  }

  async *documents(block: StoredBlock, signal: AbortSignal): AsyncGenerator<RenderedDocument[], void, undefined> {
    const ingested = formatTime(Date.now() * 1000);
    const batch: Batch = { block, idPrefix: segmentPrefix(block.segment), ingested };
    let documents: RenderedDocument[] = [];
    let characters = 0;
    let last: Context | undefined;
    for (const text of textsOf(block)) {
      if (documents.length >= run.documents || characters >= run.characters) {
        yield this.#counted(documents);
        documents = [];
        characters = 0;
        await breathe();
        signal.throwIfAborted();
      }
      if (text.text === '') {
        this.#emptyFrames += 1;
        continue;
      }
      const json =
        block.kind === 'json-records' && !text.frame.cut && !text.frame.continued ? parseObject(text.text) : undefined;
      if (json !== undefined) {
        const document = await this.#jsonDocument(batch, text, json, signal);
        documents.push({ document, end: text.frame.next });
        characters += document.json.length;
        continue;
      }
      const { line, context: known } = this.#read(block, text, last);
      let context = known;
      if (context.image !== undefined && context.images === undefined) {
        const found = this.#images.find(context.image, signal);
        const images = found instanceof Promise ? await found : found;
        if (images !== undefined) {
          context = this.#keep(block.source, newContext(context.line, block.source, this.#options, images));
        }
      }
      if (context.line.around !== undefined) last = context;
      const own = ownOf(line, text.text, block.arrivedAt);
      const document = this.#document(batch, text, context.facts, context.common, own);
      documents.push({ document, end: text.frame.next });
      characters += document.json.length;
    }
    signal.throwIfAborted();
    yield this.#counted(documents);
  }

  #counted(documents: RenderedDocument[]): RenderedDocument[] {
    this.#records += documents.length;
    return documents;
  }

  /** Reads a line; where it has the header of the line before, only what is its own. */
  #read(
    block: StoredBlock,
    text: Text,
    last: Context | undefined,
  ): { readonly line: OwnLine; readonly context: Context } {
    const again = last && isWhole(block, text) ? readAgain(text.text, last.line) : undefined;
    if (last !== undefined && again !== undefined) return { line: again, context: last };
    const line = readLine(block, text);
    return { line, context: this.#contextOf(block.source, line, text.text) };
  }

  #contextOf(source: Source, line: SyslogLine, text: string): Context {
    const { around, stamp } = line;
    if (around === undefined) return newContext(line, source, this.#options);
    const known = this.#contexts.get(contextKey(source, around));
    if (known !== undefined) return known;
    // V8 keeps a slice of a text by keeping the whole text, which here is that of the block.
    const header = around.before + text.slice(stamp?.start, stamp?.end) + around.after + 'x';
    return this.#keep(source, newContext(parseSyslog(Buffer.from(header).toString()), source, this.#options));
  }

  #keep(source: Source, context: Context): Context {
    const { around } = context.line;
    if (around !== undefined && around.after.length <= longestHeader) {
      this.#contexts.set(contextKey(source, around), context);
    }
    return context;
  }

  async #jsonDocument(batch: Batch, text: Text, json: object, signal: AbortSignal): Promise<LogDocument> {
    const { source, arrivedAt } = batch.block;
    const record = readJsonRecord(json, text.text, arrivedAt);
    const { claims, message, time, timeOriginal, level, stream, ecs, fields } = record;
    const image = referenceOf(claims);
    const images = image && (await this.#images.find(image, signal));
    const facts: CommonFacts = {
      ...originOf(claims, source, this.#options.clusters, images),
      ...(level !== undefined && { level }),
      ...(stream !== undefined && { stream }),
    };
    const own: Own = {
      message,
      timestamp: time.timestamp,
      ...(timeOriginal !== undefined && { timeOriginal }),
      ...(Object.keys(ecs).length > 0 && { ecs }),
      ...(Object.keys(fields).length > 0 && { fields }),
    };
    const tags = [...text.tags, ...record.tags];
    return this.#document(batch, { ...text, tags }, facts, renderCommon(facts, this.#options), own);
  }

  #document(
    { block, idPrefix, ingested }: Batch,
    text: Text,
    facts: CommonFacts,
    common: Common,
    own: Own,
  ): LogDocument {
    const { offset } = text.frame;
    const failed = own.error !== undefined;
    if (failed) this.#parseFailures += 1;
    const tags = failed ? [...text.tags, 'parse_failure'] : text.tags;
    const record: LogRecord = {
      id: recordId(idPrefix, offset),
      sequence: block.segment.base + offset,
      createdAt: block.arrivedAt,
      ...facts,
      ...own,
      ...(tags.length > 0 && { tags }),
    };
    return { record, json: renderDocument(record, common, this.#options, ingested) };
  }
}

/** It is neither a JSON record, nor the rest of a frame that was cut and so has no header. */
function isWhole(block: StoredBlock, { frame }: Text): boolean {
  return block.kind !== 'json-records' && !frame.continued;
}

function readLine(block: StoredBlock, text: Text): SyslogLine {
  if (isWhole(block, text)) return parseSyslog(text.text);
  const line = { fromDocker: false, message: 0 };
  return block.kind === 'json-records' ? { ...line, error: 'the record is not a JSON object' } : line;
}

function ownOf(line: OwnLine, text: string, arrivedAt: number): Own {
  const { stamp, error } = line;
  const message = text.slice(line.message);
  if (stamp === undefined)
    return error === undefined ? { message, timestamp: arrivedAt } : { message, timestamp: arrivedAt, error };
  const { timestamp, exact } = resolveTime(stamp, arrivedAt);
  return {
    message,
    timestamp,
    ...(!exact && { timeOriginal: text.slice(stamp.start, stamp.end) }),
    ...(error !== undefined && { error }),
  };
}
