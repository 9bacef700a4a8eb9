import { Buffer } from 'node:buffer';
import { setImmediate as breathe } from 'node:timers/promises';
import type { Source, StoredBlock } from '../block.ts';
import type { ImageFacts, ImageLookup } from '../images.ts';
import type { Log } from '../log.ts';
import { type Note, renderNote } from '../rules/notes.ts';
import type { Rules } from '../rules/rules.ts';
import { Sieve, type Sifted } from '../rules/sieve.ts';
import type { Unfinished } from '../spool/checkpoint.ts';
import type { Position } from '../spool/reader.ts';
import type { LogDocument, LogRecord } from '../record.ts';
import { readApplication } from './app-json.ts';
import { BoundedMap } from './bounded-map.ts';
import { type Context, contextKey, messageContext, messageKey, newContext } from './context.ts';
import { type Joined, Joiner } from './joiner.ts';
import { KnownImages } from './known-images.ts';
import { type Batch, isWhole, type Line, type OwnLine, ownOf, ownOfMessage, readLine } from './line.ts';
import type { Message } from './message.ts';
import { endedBy, partOf, pieceOf } from './pieces.ts';
import { messageReader } from './read-message.ts';
import { renderDocument } from './render-ecs.ts';
import { segmentPrefix, recordId } from './record-id.ts';
import { longestHeader, RecentContexts } from './recent-contexts.ts';
import { parseSyslog, type SyslogLine } from './syslog.ts';
import type { ClusterRules } from './tagger.ts';
import { joinedText, type Text, textsOf } from './texts.ts';
import { formatTime } from './time.ts';

/** What a renderer needs. */
export interface RendererOptions {
  readonly clusters: ClusterRules;
  readonly dataset: string;
  readonly namespace: string;
  readonly lookup: ImageLookup;
  /** Which records are kept, and how; absent: all, as they are. */
  readonly rules?: Rules;
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
  /** Rule → records that it changed or dropped. */
  readonly rules: Readonly<Record<string, number>>;
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
  /** Records that rules dropped so far. */
  readonly dropped: number;
  /** The lines that wait for their rest, and what is to be told of dropped ones: nothing more comes. */
  end(): RenderedDocument[];
  /** Lines that wait for their rest, and what their pieces count as, in bytes. */
  readonly held: { readonly lines: number; readonly bytes: number };
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

/** Headers whose rendering is kept. */
const mostContexts = 4096;
/** Connections whose recent headers are at hand. */
const mostConnections = 128;

class BlockRenderer implements Renderer {
  readonly #options: RendererOptions;
  readonly #images: KnownImages;
  readonly #contexts = new BoundedMap<string, Context>(mostContexts);
  readonly #recent = new BoundedMap<string, RecentContexts>(mostConnections);
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
      rules: this.#options.rules?.counts ?? {},
    };
  }

  open(unfinished: readonly Unfinished[]): Rendering {
    const joiner = new Joiner<Line>(unfinished);
    const { rules } = this.#options;
    const sieve = rules === undefined || rules.empty ? undefined : new Sieve(rules, this.#options);
    return {
      documents: (block, at, signal) => this.#documents(block, at, joiner, sieve, signal),
      end: () => {
        const rest = joiner.end().flatMap((joined) => this.#joined(joined, sieve) ?? []);
        return this.#counted([...rest, ...(sieve?.end() ?? []).map((note) => this.#note(note))]);
      },
      get dropped() {
        return sieve?.dropped ?? 0;
      },
      get held() {
        return joiner.held;
      },
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
    sieve: Sieve | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<RenderedDocument[], void, undefined> {
    const ingested = formatTime(Date.now() * 1000);
    const batch: Batch = { block, idPrefix: segmentPrefix(block.segment), ingested };
    let documents: RenderedDocument[] = [];
    let [lines, characters] = [0, 0];
    const { connection } = block.source;
    const recent = this.#recent.get(connection) ?? new RecentContexts();
    this.#recent.set(connection, recent);
    /** Their images were looked up in this block. */
    const asked = new Set<Context>();
    const readMessage = messageReader(block);
    const add = (rendered: RenderedDocument | undefined): void => {
      lines += 1;
      if (rendered === undefined) return;
      documents.push(rendered);
      characters += rendered.document.json.length;
    };
    if (sieve) for (const note of sieve.notesBefore(block.segment.id, block.arrivedAt)) add(this.#note(note));
    if (!joiner.empty) for (const joined of endedBy(block, joiner)) add(this.#joined(joined, sieve));
    for (const text of textsOf(block)) {
      if (lines >= run.documents || characters >= run.characters) {
        yield this.#counted(documents);
        documents = [];
        [lines, characters] = [0, 0];
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
        if (piece === undefined) add(this.#whole(whole, sieve));
        else for (const joined of joiner.push(piece)) add(this.#joined(joined, sieve));
        continue;
      }
      const { line, context: known } = this.#read(block, text, recent);
      let context = known;
      if (context.image !== undefined && context.images === undefined && !asked.has(context)) {
        asked.add(context);
        const found = this.#images.find(context.image, signal);
        const images = found instanceof Promise ? await found : found;
        if (images !== undefined) {
          context = this.#keep(block.source, newContext(context.line, block.source, this.#options, images));
          recent.add(context);
        }
      }
      const whole: Line = { batch, text, context, own: ownOf(line, text.text, block.arrivedAt), written: true };
      const piece = pieceOf(whole, line.message, at, joiner);
      if (piece === undefined) add(this.#whole(whole, sieve));
      else for (const joined of joiner.push(piece)) add(this.#joined(joined, sieve));
    }
    signal.throwIfAborted();
    yield this.#counted(documents);
  }

  #counted(documents: RenderedDocument[]): RenderedDocument[] {
    this.#records += documents.length;
    return documents;
  }

  /** Undefined: it is dropped. */
  #whole({ batch, text, context, own, written }: Line, sieve: Sieve | undefined): RenderedDocument | undefined {
    const { offset, next: end } = text.frame;
    const { block, idPrefix } = batch;
    const id = recordId(idPrefix, offset);
    const sequence = block.segment.base + offset;
    const { facts, common } = context;
    const { tags } = text;
    const kept = sieve
      ? sieve.sift({ batch, id, sequence, end, facts, common, tags, written, own })
      : { facts, common, tags, own: written ? readApplication(own, block.arrivedAt) : own };
    return kept && { document: this.#document(batch, id, sequence, kept), end };
  }

  #joined({ first, since, bytes, cut }: Joined<Line>, sieve: Sieve | undefined): RenderedDocument | undefined {
    const { message, tags } = joinedText(bytes, first.text.tags, cut);
    const whole = { ...first, text: { ...first.text, tags }, own: { ...first.own, message } };
    const rendered = this.#whole(whole, sieve);
    return rendered && { document: { ...rendered.document, began: since }, end: rendered.end };
  }

  #note(note: Note): RenderedDocument {
    return { document: renderNote(note, this.#options), end: note.first.end };
  }

  /** Reads a line; where it has the header of a recent one, only what is its own. */
  #read(block: StoredBlock, text: Text, recent: RecentContexts): { readonly line: OwnLine; readonly context: Context } {
    const again = isWhole(block, text) ? recent.find(text.text) : undefined;
    if (again !== undefined) return again;
    const line = readLine(block, text);
    const context = this.#contextOf(block.source, line, text.text);
    recent.add(context);
    return { line, context };
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
    { block, ingested }: Batch,
    id: string,
    sequence: number,
    { facts, common, own, tags: said }: Sifted,
  ): LogDocument {
    const { arrivedAt: createdAt } = block;
    const failed = own.error !== undefined;
    if (failed) this.#parseFailures += 1;
    const tags = failed ? [...said, 'parse_failure'] : said;
    const record: LogRecord = { id, sequence, createdAt, ...facts, ...own, ...(tags.length > 0 && { tags }) };
    return { record, json: renderDocument(record, common, ingested) };
  }
}
