import type { Block } from '../block.ts';
import { joinDatagrams, readCount } from '../parse/frames.ts';
import { startsHeader } from './proxy-protocol.ts';
import { Rest } from './rest.ts';

/** A run of frames: what a listener makes a block of. Its payload may be a view of what arrived. */
export type Piece = Pick<Block, 'kind' | 'flags' | 'payload'>;

const [NUL, LF] = [0x00, 0x0a];
const empty = new Uint8Array(0);

/** `headless`: `lf` or `nul`, whichever ends the first frame. */
type Framing = 'undecided' | 'headless' | 'lf' | 'nul' | 'octet' | 'proxied';

/**
 * Divides a stream of bytes into runs of whole frames.
 *
 * The framing is decided from the first bytes, and kept: octet counting (RFC 6587 section 3.4.1) if they are a count and
 * a PRI, else LF. A sender that writes a PRI and no header may end its frames with NUL, as Python's SysLogHandler does:
 * it does so if its first frame ends with one. Where there is a header, NUL is content: who relays the lines of others must
 * not have them make frames. A PROXY header is refused, and all that comes behind it. A frame over `maxFrame` bytes is cut at each `maxFrame`th byte, whatever the chunks that it came in.
 * Of a counted frame the pieces are of kind `datagrams`, since each needs a length of its own; so are frames that end
 * with NUL. A bad count turns the
 * rest of the stream into LF frames. A count is no content: of a frame that is cut, or that the stream ends in, it is not kept.
 */
export class Framer {
  readonly #maxFrame: number;
  readonly #onBadCount: () => void;
  #framing: Framing = 'undecided';
  #rest = new Rest();
  /** The frame that the rest belongs to was cut before. */
  #continued = false;
  /** How many bytes of a counted frame that was cut are still to come, with those of the rest. */
  #remaining = 0;

  /** `onBadCount` is called when a count is bad, at most once. */
  constructor(maxFrame: number, onBadCount: () => void) {
    this.#maxFrame = maxFrame;
    this.#onBadCount = onBadCount;
  }

  /** The memory that the unfinished rest takes, in bytes. */
  get held(): number {
    return this.#rest.capacity;
  }

  /** The stream begins with a PROXY header: nothing of it is kept. */
  get refused(): boolean {
    return this.#framing === 'proxied';
  }

  /** Takes what arrived; answers what is whole by now. */
  push(chunk: Uint8Array): Piece[] {
    const pieces: Piece[] = [];
    if (this.#framing === 'undecided') {
      const bytes = this.#rest.take(chunk);
      this.#framing = decideFraming(bytes);
      if (this.#framing === 'undecided') this.#rest.set(bytes);
      else this.#frame(bytes, pieces);
    } else if (this.#framing !== 'proxied' && this.#isMore(chunk)) {
      this.#rest.add(chunk);
    } else {
      this.#frame(this.#rest.take(chunk), pieces);
    }
    return pieces;
  }

  /** Whether a chunk is but more of the unfinished frame. */
  #isMore(chunk: Uint8Array): boolean {
    const length = this.#rest.length + chunk.length;
    if (this.#framing === 'octet') return length < this.#needed();
    if (length > this.#maxFrame) return false;
    const hasLf = this.#framing !== 'nul' && chunk.lastIndexOf(LF) >= 0;
    return !hasLf && (this.#framing === 'lf' || chunk.lastIndexOf(NUL) < 0);
  }

  /** The stream ended: what is left of it. */
  end(): Piece[] {
    const pieces: Piece[] = [];
    this.#flush(pieces, { unterminated: true });
    return pieces;
  }

  /** Cuts the unfinished frame where it is, so that its memory can be freed. */
  cut(): Piece[] {
    const pieces: Piece[] = [];
    if (this.#framing === 'headless') this.#framing = 'lf';
    if (this.#framing === 'lf' || this.#framing === 'nul') this.#flush(pieces, { cut: true });
    if (this.#framing !== 'octet') return pieces;
    if (this.#remaining === 0) {
      const bytes = this.#rest.take(empty);
      const count = readCount(bytes, 0);
      if (typeof count === 'string') this.#rest.set(bytes);
      else {
        this.#remaining = count.length;
        this.#rest.set(bytes.subarray(count.start));
      }
    }
    if (this.#remaining === 0 || this.#rest.length === 0) return pieces;
    const bytes = this.#rest.take(empty);
    this.#remaining -= bytes.length;
    this.#cutCounted(bytes, pieces, this.#remaining > 0);
    return pieces;
  }

  #flush(pieces: Piece[], flags: Block['flags']): void {
    const bytes = this.#rest.take(empty);
    if (bytes.length === 0) return;
    const all = { ...flags, ...(this.#continued && { continued: true }) };
    const count = this.#framing === 'octet' && this.#remaining === 0 ? readCount(bytes, 0) : undefined;
    const content = typeof count === 'object' ? bytes.subarray(count.start) : bytes;
    const counted = this.#framing === 'octet' || this.#framing === 'nul';
    if (counted) pieces.push({ kind: 'datagrams', flags: all, payload: joinDatagrams([content]) });
    else pieces.push({ kind: 'lf-stream', flags: all, payload: bytes });
    this.#continued = flags.cut === true;
  }

  #frame(bytes: Uint8Array, pieces: Piece[]): void {
    if (this.#framing === 'proxied') return;
    if (this.#framing === 'headless') this.#framing = firstEnd(bytes, this.#maxFrame);
    if (this.#framing === 'headless') this.#rest.set(bytes);
    else if (this.#framing === 'octet') this.#frameCounted(bytes, pieces);
    else if (this.#framing === 'nul') this.#frameStrings(bytes, pieces);
    else this.#frameLines(bytes, pieces);
  }

  #frameLines(bytes: Uint8Array, pieces: Piece[]): void {
    let start = 0;
    if (bytes.length > this.#maxFrame) {
      // Only here a frame can be too long.
      for (let at = 0; at < bytes.length;) {
        const found = bytes.indexOf(LF, at);
        const end = found < 0 ? bytes.length : found;
        if (end - at > this.#maxFrame) {
          this.#addLines(bytes.subarray(start, at), pieces);
          this.#addLines(bytes.subarray(at, at + this.#maxFrame), pieces, true);
          start = at + this.#maxFrame;
          at = start;
        } else {
          at = end + 1;
        }
      }
    }
    const last = bytes.lastIndexOf(LF);
    const whole = Math.max(start, last + 1);
    this.#addLines(bytes.subarray(start, whole), pieces);
    this.#rest.set(bytes.subarray(whole));
  }

  #addLines(payload: Uint8Array, pieces: Piece[], cut = false): void {
    if (payload.length === 0) return;
    const flags = { ...(cut && { cut: true }), ...(this.#continued && { continued: true }) };
    pieces.push({ kind: 'lf-stream', flags, payload });
    this.#continued = cut;
  }

  /** How many bytes the rest must have until something can be done with it. */
  #needed(): number {
    if (this.#remaining > 0) return Math.min(this.#remaining, this.#maxFrame);
    const count = readCount(this.#rest.bytes, 0);
    return typeof count === 'string' ? 0 : count.start + Math.min(count.length, this.#maxFrame);
  }

  #frameCounted(bytes: Uint8Array, pieces: Piece[]): void {
    let at = 0;
    let start = 0;
    for (;;) {
      if (this.#remaining > 0) {
        const length = Math.min(this.#remaining, this.#maxFrame);
        if (bytes.length - at < length) break;
        this.#remaining -= length;
        this.#cutCounted(bytes.subarray(at, at + length), pieces, this.#remaining > 0);
        at += length;
        start = at;
        continue;
      }
      const count = readCount(bytes, at);
      if (count === 'more') break;
      if (count === 'bad') {
        addCounted(bytes.subarray(start, at), pieces);
        this.#framing = 'lf';
        this.#onBadCount();
        this.#frameLines(bytes.subarray(at), pieces);
        return;
      }
      if (count.length > this.#maxFrame) {
        addCounted(bytes.subarray(start, at), pieces);
        this.#remaining = count.length;
        at = count.start;
        start = at;
      } else if (count.start + count.length <= bytes.length) {
        at = count.start + count.length;
      } else {
        break;
      }
    }
    addCounted(bytes.subarray(start, at), pieces);
    this.#rest.set(bytes.subarray(at));
  }

  #frameStrings(bytes: Uint8Array, pieces: Piece[]): void {
    let whole: Uint8Array[] = [];
    const flush = (): void => {
      if (whole.length > 0) pieces.push({ kind: 'datagrams', flags: {}, payload: joinDatagrams(whole) });
      whole = [];
    };
    let at = 0;
    for (let found = bytes.indexOf(NUL); ; found = bytes.indexOf(NUL, at)) {
      const end = found < 0 ? bytes.length : found;
      for (; end - at > this.#maxFrame; at += this.#maxFrame) {
        flush();
        this.#cutCounted(bytes.subarray(at, at + this.#maxFrame), pieces, true);
      }
      if (found < 0) break;
      if (this.#continued) this.#cutCounted(bytes.subarray(at, end), pieces, false);
      else whole.push(bytes.subarray(at, end));
      at = end + 1;
    }
    flush();
    this.#rest.set(bytes.subarray(at));
  }

  #cutCounted(bytes: Uint8Array, pieces: Piece[], cut: boolean): void {
    const flags = { ...(cut && { cut: true }), ...(this.#continued && { continued: true }) };
    pieces.push({ kind: 'datagrams', flags, payload: joinDatagrams([bytes]) });
    this.#continued = cut;
  }
}

function addCounted(payload: Uint8Array, pieces: Piece[]): void {
  if (payload.length > 0) pieces.push({ kind: 'octet-stream', flags: {}, payload });
}

/** `^[1-9]\d{0,6} <\d{1,3}>` is octet counting; what can no more become that, or a PROXY header, is LF, or ends as it shows. */
function decideFraming(bytes: Uint8Array): Framing {
  const starts = startsHeader(bytes);
  if (starts !== false) return starts === true ? 'proxied' : 'undecided';
  const head = Buffer.from(bytes.subarray(0, 16)).toString('latin1');
  if (/^[1-9]\d{0,6} <\d{1,3}>/.test(head)) return 'octet';
  if (/^(?:[1-9]\d{0,6}(?: (?:<\d{0,3})?)?)?$/.test(head)) return 'undecided';
  const content = /^<\d{1,3}>(.*)$/s.exec(head)?.[1];
  if (content === undefined) return /^<\d{0,3}$/.test(head) ? 'undecided' : 'lf';
  if (header.test(content)) return 'lf';
  return headerStart.test(content) ? 'undecided' : 'headless';
}

/** How what follows a PRI begins by RFC 5424, by RFC 3164, and with a time of RFC 3339; and what can become one of them. */
const header = /^(?:1 |[A-Z][a-z]{2} [ \d]|\d{4}-\d\d-\d\dT)/;
const headerStart = /^(?:\d{0,4}|\d{4}-(?:\d{0,2}|\d\d-\d{0,2})|[A-Z][a-z]{0,2}|[A-Z][a-z]{2} )$/;

/** What ends the first frame, of `maxFrame` bytes at most: LF, or NUL; `headless` where it is not there yet. */
function firstEnd(bytes: Uint8Array, maxFrame: number): Framing {
  const [lf, nul] = [bytes.indexOf(LF), bytes.indexOf(NUL)];
  if (lf < 0 && nul < 0) return bytes.length > maxFrame ? 'lf' : 'headless';
  return nul >= 0 && nul <= maxFrame && (lf < 0 || nul < lf) ? 'nul' : 'lf';
}
