import { Buffer } from 'node:buffer';
import type { Source, StoredBlock } from '../block.ts';
import type { ImageFacts } from '../images.ts';
import { BoundedMap } from './bounded-map.ts';
import { type Context, contextKey, messageContext, messageKey, newContext } from './context.ts';
import type { RendererOptions } from './documents.ts';
import { KnownImages } from './known-images.ts';
import { isWhole, type OwnLine, readLine } from './line.ts';
import type { Message } from './message.ts';
import { longestHeader, RecentContexts } from './recent-contexts.ts';
import { parseSyslog, type SyslogLine } from './syslog.ts';
import { contentOfText, type Text } from './texts.ts';

/** Headers whose rendering is kept. */
const mostContexts = 4096;
/** Connections whose recent headers are at hand. */
const mostConnections = 128;

/** What is a line's own, and what it has in common with others. */
export interface ReadLine {
  readonly line: OwnLine;
  readonly context: Context;
}

/** What lines and messages have in common with others, which is found out and rendered once. */
export class Contexts {
  readonly #options: RendererOptions;
  readonly #images: KnownImages;
  readonly #contexts = new BoundedMap<string, Context>(mostContexts);
  readonly #recent = new BoundedMap<string, RecentContexts>(mostConnections);

  constructor(options: RendererOptions) {
    this.#options = options;
    this.#images = new KnownImages(options.lookup, options.log);
  }

  /** Lookups of images that failed. */
  get failures(): number {
    return this.#images.failures;
  }

  /** Those that lines of a connection had lately. */
  recentOf({ connection }: Source): RecentContexts {
    const recent = this.#recent.get(connection) ?? new RecentContexts();
    this.#recent.set(connection, recent);
    return recent;
  }

  /** Reads a line; where it has the header of a recent one, only what is its own. */
  read(block: StoredBlock, text: Text, recent: RecentContexts): ReadLine {
    const again = isWhole(block, text) ? recent.find(text) : undefined;
    if (again !== undefined) return again;
    const line = readLine(block, text);
    const context = this.#contextOf(block.source, line, contentOfText(text));
    recent.add(context);
    return { line, context };
  }

  /** The same context with what the registry says of its image now, if anything. A promise: it is looked up. */
  lookUp(context: Context, source: Source, recent: RecentContexts, signal: AbortSignal): Context | Promise<Context> {
    const { image } = context;
    if (image === undefined || context.images !== undefined) return context;
    const renew = (images: ImageFacts | undefined): Context => {
      if (images === undefined) return context;
      const renewed = this.#keep(source, newContext(context.line, source, this.#options, images));
      recent.add(renewed);
      return renewed;
    };
    const found = this.#images.find(image, signal);
    return found instanceof Promise ? found.then(renew) : renew(found);
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

  /** That of a message. A promise: its image is looked up. */
  ofMessage(source: Source, message: Message, signal: AbortSignal): Context | Promise<Context> {
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
}
