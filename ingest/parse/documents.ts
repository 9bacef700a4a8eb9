import { Buffer } from 'node:buffer';
import { setImmediate as breathe } from 'node:timers/promises';
import type { Source, StoredBlock } from '../block.ts';
import type { ImageFacts, ImageLookup } from '../images.ts';
import type { Log } from '../log.ts';
import type { Unfinished } from '../spool/checkpoint.ts';
import type { Position } from '../spool/reader.ts';
import type { LogDocument, LogRecord } from '../record.ts';
import { readApplication } from './app-json.ts';
import { BoundedMap } from './bounded-map.ts';
import { type Context, contextKey, messageContext, messageKey, newContext } from './context.ts';
import { type Joined, Joiner } from './joiner.ts';
import { KnownImages } from './known-images.ts';
import { type Batch, isWhole, type Line, type Own, type OwnLine, ownOf, ownOfMessage, readLine } from './line.ts';
import type { Message } from './message.ts';
import { endedBy, partOf, pieceOf } from './pieces.ts';
import { messageReader } from './read-message.ts';
import { renderDocument, type Common, type CommonFacts } from './render-ecs.ts';
import { segmentPrefix, recordId } from './record-id.ts';
import { parseSyslog, readAgain, type SyslogLine } from './syslog.ts';
import type { ClusterRules } from './tagger.ts';
import { joinedText, type Text, textsOf } from './texts.ts';
import { formatTime } from './time.ts';

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
  /** Starts to read a directory, at a place where these lines were not finished: their rest is stepped over. */
  open(unfinished: readonly Unfinished[]): Rendering;
}

/** The blocks of one directory, in order, as they become documents. */
export interface Rendering {
  /**
   * The records of a block that starts at `at`, in order, some at a time: a block of a few MiB may hold millions. A line
   * that came in pieces is a record of its first one, and comes when it is whole. Never throws but when the signal aborts.
   */
  documents(block: StoredBlock, at: Position, signal: AbortSignal): AsyncGenerator<RenderedDocument[], void, undefined>;
  /** The lines that wait for their rest: nothing more comes. */
  end(): RenderedDocument[];
  /** From where on blocks must be read again to find the lines that are not whole yet; undefined: all are. */
  readonly since: Position | undefined;
  /** Lines that are not finished where the reading is. */
  readonly unfinished: readonly Unfinished[];
  /** Whether a line waits for its rest, all of whose pieces so far lie before a place. */
  waitsBefore(place: Position): boolean;
}

export function createRenderer(options: RendererOptions): Renderer {
  return new BlockRenderer(options);
}

/** Documents that are in memory at once, and their characters of JSON, by about one more; then others get their turn. */
const run = { documents: 1000, characters: 1024 * 1024 } as const;

/** Headers whose rendering is kept, each of at most so many characters. */
const mostContexts = 4096;
const longestHeader = 2048;

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

  open(unfinished: readonly Unfinished[]): Rendering {
    const joiner = new Joiner<Line>(unfinished);
    return {
      documents: (block, at, signal) => this.#documents(block, at, joiner, signal),
      end: () => this.#counted(joiner.end().map((joined) => this.#joined(joined))),
      get since() {
        return joiner.since;
      },
      get unfinished() {
        return joiner.unfinished;
      },
      waitsBefore: (place) => joiner.waitsBefore(place),
    };
  }

  async *#documents(
    block: StoredBlock,
    at: Position,
    joiner: Joiner<Line>,
    signal: AbortSignal,
  ): AsyncGenerator<RenderedDocument[], void, undefined> {
    const ingested = formatTime(Date.now() * 1000);
    const batch: Batch = { block, idPrefix: segmentPrefix(block.segment), ingested };
    let documents: RenderedDocument[] = [];
    let characters = 0;
    let last: Context | undefined;
    const readMessage = messageReader(block);
    const add = (rendered: RenderedDocument): void => {
      documents.push(rendered);
      characters += rendered.document.json.length;
    };
    if (!joiner.empty) for (const joined of endedBy(block, joiner)) add(this.#joined(joined));
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
      const message = readMessage?.(text);
      if (message !== undefined) {
        const found = this.#contextOfMessage(block.source, message, signal);
        const context = found instanceof Promise ? await found : found;
        const tags = message.tags.length > 0 ? [...text.tags, ...message.tags] : text.tags;
        const written = message.part !== undefined;
        const whole: Line = { batch, text: { ...text, tags }, context, own: ownOfMessage(message), written };
        const piece = partOf(whole, message, at, joiner);
        if (piece === undefined) add(this.#whole(whole));
        else for (const joined of joiner.push(piece)) add(this.#joined(joined));
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
      const whole: Line = { batch, text, context, own: ownOf(line, text.text, block.arrivedAt), written: true };
      const piece = pieceOf(whole, line.message, at, joiner);
      if (piece === undefined) add(this.#whole(whole));
      else for (const joined of joiner.push(piece)) add(this.#joined(joined));
    }
    signal.throwIfAborted();
    yield this.#counted(documents);
  }

  #counted(documents: RenderedDocument[]): RenderedDocument[] {
    this.#records += documents.length;
    return documents;
  }

  #whole({ batch, text, context, own, written }: Line): RenderedDocument {
    const read = written ? readApplication(own, batch.block.arrivedAt) : own;
    const document = this.#document(batch, text, context.facts, context.common, read);
    return { document, end: text.frame.next };
  }

  #joined({ first, since, bytes, cut }: Joined<Line>): RenderedDocument {
    const { message, tags } = joinedText(bytes, first.text.tags, cut);
    const { document, end } = this.#whole({ ...first, text: { ...first.text, tags }, own: { ...first.own, message } });
    return { document: { ...document, began: since }, end };
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

  /** A promise: its image is looked up. */
  #contextOfMessage(source: Source, message: Message, signal: AbortSignal): Context | Promise<Context> {
    const key = messageKey(source, message);
    const known = this.#contexts.get(key);
    const context = known ?? messageContext(message, source, this.#options);
    const keep = (kept: Context): Context => {
      if (key.length <= longestHeader) this.#contexts.set(key, kept);
      return kept;
    };
    const find = (images: ImageFacts | undefined): Context => {
      if (images !== undefined) return keep(messageContext(message, source, this.#options, images));
      return known ?? keep(context);
    };
    if (context.image === undefined || context.images !== undefined) return known ?? keep(context);
    const found = this.#images.find(context.image, signal);
    return found instanceof Promise ? found.then(find) : find(found);
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
