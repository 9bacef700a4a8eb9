import { setImmediate as breathe } from 'node:timers/promises';
import type { StoredBlock } from '../block.ts';
import { beginDocument, type Bulk, endId } from '../bulk.ts';
import { BulkBuilder } from '../bulk-builder.ts';
import type { ImageLookup } from '../images.ts';
import type { Log } from '../log.ts';
import { addNote } from '../rules/notes.ts';
import type { Rules } from '../rules/rules.ts';
import { Sieve } from '../rules/sieve.ts';
import type { Unfinished } from '../spool/checkpoint.ts';
import type { Position } from '../spool/reader.ts';
import { readApplication } from './app-json.ts';
import type { Context } from './context.ts';
import { Contexts } from './contexts.ts';
import { type Joined, Joiner } from './joiner.ts';
import { type Batch, type Line, ownOf, ownOfMessage } from './line.ts';
import { endedBy, mayBePiece, partOf, pieceOf } from './pieces.ts';
import { messageReader } from './read-message.ts';
import { renderDocument, renderReceipt } from './render-ecs.ts';
import { segmentPrefix, recordId, writeOffset } from './record-id.ts';
import type { ClusterRules } from './tagger.ts';
import { joinedText, rawMessage, textsOf } from './texts.ts';

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
  documents(block: StoredBlock, at: Position, signal: AbortSignal): AsyncGenerator<Bulk, void, undefined>;
  /** Records that rules dropped so far. */
  readonly dropped: number;
  /** The lines that wait for their rest, and what is to be told of dropped ones: nothing more comes. */
  end(): Bulk;
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

/** Lines that are rendered at once, and bytes of their documents, by about one more; then others get their turn. */
const run = { lines: 1000, bytes: 1024 * 1024 } as const;

class BlockRenderer implements Renderer {
  readonly #options: RendererOptions;
  readonly #contexts: Contexts;
  #records = 0;
  #emptyFrames = 0;
  #parseFailures = 0;

  constructor(options: RendererOptions) {
    this.#options = options;
    this.#contexts = new Contexts(options);
  }

  get counts(): RendererCounts {
    return {
      records: this.#records,
      emptyFrames: this.#emptyFrames,
      parseFailures: this.#parseFailures,
      lookupFailures: this.#contexts.failures,
      rules: this.#options.rules?.counts ?? {},
    };
  }

  open(unfinished: readonly Unfinished[]): Rendering {
    const joiner = new Joiner<Line>(unfinished);
    const builder = new BulkBuilder();
    const { rules } = this.#options;
    const sieve = rules === undefined || rules.empty ? undefined : new Sieve(rules, this.#options);
    return {
      documents: (block, at, signal) => this.#documents(block, at, { joiner, sieve, builder }, signal),
      end: () => {
        for (const joined of joiner.end()) this.#addJoined(joined, sieve, builder);
        for (const note of sieve?.end() ?? []) addNote(note, this.#options, builder);
        return this.#take(builder);
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
    { joiner, sieve, builder }: Directory,
    signal: AbortSignal,
  ): AsyncGenerator<Bulk, void, undefined> {
    const { source, arrivedAt } = block;
    const batch: Batch = {
      block,
      head: Buffer.from(`${beginDocument}${segmentPrefix(block.segment)}`),
      event: renderReceipt(arrivedAt, Date.now() * 1000),
    };
    const contexts = this.#contexts;
    const recent = contexts.recentOf(source);
    /** Their images were looked up in this block. */
    const asked = new Set<Context>();
    const readMessage = messageReader(block);
    if (sieve) for (const note of sieve.notesBefore(block.segment.id, arrivedAt)) addNote(note, this.#options, builder);
    if (!joiner.empty) {
      for (const joined of endedBy(block, joiner)) {
        this.#addJoined(joined, sieve, builder);
        if (builder.size >= run.bytes) yield this.#take(builder);
      }
    }
    let lines = 0;
    for (const text of textsOf(block)) {
      if (lines >= run.lines || builder.size >= run.bytes) {
        yield this.#take(builder);
        lines = 0;
        await breathe();
        signal.throwIfAborted();
      }
      lines += 1;
      if (text.start === text.end) {
        this.#emptyFrames += 1;
        continue;
      }
      const message = readMessage?.(text);
      if (message !== undefined) {
        const found = contexts.ofMessage(source, message, signal);
        const context = found instanceof Promise ? await found : found;
        const tags = message.tags.length > 0 ? [...text.tags, ...message.tags] : text.tags;
        const written = message.part !== undefined;
        const whole: Line = { batch, text: { ...text, tags }, context, own: ownOfMessage(message), written };
        const piece = partOf(whole, message, at, joiner);
        if (piece === undefined) this.#add(whole, sieve, builder);
        else for (const joined of joiner.push(piece)) this.#addJoined(joined, sieve, builder);
        continue;
      }
      const { line, context: known } = contexts.read(block, text, recent);
      let context = known;
      if (context.image !== undefined && context.images === undefined && !asked.has(context)) {
        asked.add(context);
        const found = contexts.lookUp(context, source, recent, signal);
        context = found instanceof Promise ? await found : found;
      }
      const own = ownOf(line, text, arrivedAt);
      const raw = rawMessage(block, text, line.message);
      const whole: Line = { batch, text, context, own, written: true, ...(raw && { raw }) };
      const piece = mayBePiece(text, joiner) ? pieceOf(whole, line.message, at, joiner) : undefined;
      if (piece === undefined) this.#add(whole, sieve, builder);
      else for (const joined of joiner.push(piece)) this.#addJoined(joined, sieve, builder);
    }
    signal.throwIfAborted();
    yield this.#take(builder);
  }

  #take(builder: BulkBuilder): Bulk {
    const bulk = builder.take();
    this.#records += bulk.records;
    return bulk;
  }

  /** `began`: where the block of its first piece starts. */
  #add(line: Line, sieve: Sieve | undefined, builder: BulkBuilder, began?: Position): void {
    const { batch, text, context, own, written, raw } = line;
    const { offset } = text.frame;
    const { block, head, event } = batch;
    const { arrivedAt, segment } = block;
    const sequence = segment.base + offset;
    const { facts, common } = context;
    const { tags } = text;
    const kept = sieve
      ? sieve.sift({ batch, id: recordId(segmentPrefix(segment), offset), sequence, facts, common, tags, written, own })
      : { common, tags, own: written ? readApplication(own, arrivedAt) : own };
    if (kept === undefined) return;
    const failed = kept.own.error !== undefined;
    if (failed) this.#parseFailures += 1;
    const said = failed ? [...kept.tags, 'parse_failure'] : kept.tags;
    const { writer } = builder;
    writer.reserve(room);
    writer.bytes(head);
    writeOffset(writer, offset);
    writer.bytes(tail);
    const same = kept.own.message === own.message ? raw : undefined;
    renderDocument(writer, kept.own, said, kept.common, { event, sequence }, same);
    writer.reserve(room);
    writer.bytes(lineFeed);
    builder.add(arrivedAt, began);
  }

  #addJoined({ first, since, bytes, cut }: Joined<Line>, sieve: Sieve | undefined, builder: BulkBuilder): void {
    const { message, tags } = joinedText(bytes, first.text.tags, cut);
    this.#add({ ...first, text: { ...first.text, tags }, own: { ...first.own, message } }, sieve, builder, since);
  }
}

const [tail, lineFeed] = [Buffer.from(endId), Buffer.from('\n')];
/** Room for the lines of a document around its JSON, in bytes. */
const room = 128;

/** What belongs to the reading of one directory. */
interface Directory {
  readonly joiner: Joiner<Line>;
  readonly sieve: Sieve | undefined;
  readonly builder: BulkBuilder;
}
