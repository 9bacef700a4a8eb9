import type { Block, StoredBlock } from '../block.ts';

/** One frame of a block. */
export interface Frame {
  /** Where its content starts and ends in the payload, in bytes; without count, length or final LF. */
  readonly start: number;
  readonly end: number;
  /** Where the frame starts in the segment's file. */
  readonly offset: number;
  /** Where the next one starts in the segment's file. */
  readonly next: number;
  /** The rest of it comes in the next block of its connection; it is the rest of what the block before left. */
  readonly cut: boolean;
  readonly continued: boolean;
  readonly unterminated: boolean;
}

const [LF, SPACE, ZERO, NINE] = [0x0a, 0x20, 0x30, 0x39];

/**
 * The frames of a block, in order. Together, and with the tag of forwarded events, they cover the payload; what is not
 * framed as its kind says is one frame.
 */
export function* framesOf(block: StoredBlock): Generator<Frame, void, undefined> {
  const { payload, offset, flags, kind } = block;
  if (kind === 'mark') return;
  const next = walkers[kind];
  for (let at = startOfFrames(block); at < payload.length;) {
    const { start, end, after } = next(payload, at);
    const last = after >= payload.length;
    yield {
      start,
      end,
      offset: offset + at,
      next: offset + after,
      cut: last && flags.cut === true,
      continued: at === 0 && flags.continued === true,
      unterminated: last && flags.unterminated === true,
    };
    at = after;
  }
}

/** Where the first frame starts in the payload: behind the tag of forwarded events. */
function startOfFrames({ kind, payload }: StoredBlock): number {
  return kind === 'forward' ? nextDatagram(payload, 0).after : 0;
}

/** The tag of forwarded events. */
export function tagOf({ payload }: StoredBlock): Uint8Array {
  const { start, end } = nextDatagram(payload, 0);
  return payload.subarray(start, end);
}

interface Bounds {
  readonly start: number;
  readonly end: number;
  readonly after: number;
}

type Walker = (payload: Uint8Array, at: number) => Bounds;

const walkers: Readonly<Record<Exclude<Block['kind'], 'mark'>, Walker>> = {
  'lf-stream': nextLine,
  'json-records': nextLine,
  'octet-stream': nextCounted,
  datagrams: nextDatagram,
  forward: nextDatagram,
  gelf: nextDatagram,
};

function nextLine(payload: Uint8Array, at: number): Bounds {
  const found = payload.indexOf(LF, at);
  return found < 0
    ? { start: at, end: payload.length, after: payload.length }
    : { start: at, end: found, after: found + 1 };
}

function nextCounted(payload: Uint8Array, at: number): Bounds {
  const count = readCount(payload, at);
  if (typeof count === 'string' || count.start + count.length > payload.length) return restOf(payload, at);
  const after = count.start + count.length;
  return { start: count.start, end: after, after };
}

function nextDatagram(payload: Uint8Array, at: number): Bounds {
  if (at + 4 > payload.length) return restOf(payload, at);
  const view = new DataView(payload.buffer, payload.byteOffset + at, 4);
  const after = at + 4 + view.getUint32(0);
  return after > payload.length ? restOf(payload, at) : { start: at + 4, end: after, after };
}

function restOf(payload: Uint8Array, at: number): Bounds {
  return { start: at, end: payload.length, after: payload.length };
}

/** A frame's count, and where its content starts. */
export interface Count {
  readonly length: number;
  readonly start: number;
}

/**
 * Reads `MSG-LEN SP` (RFC 6587 section 3.4.1): at most 7 digits, of which the first is not 0.
 * `more`: what is there may become one. `bad`: it cannot.
 */
export function readCount(bytes: Uint8Array, at: number): Count | 'more' | 'bad' {
  let length = 0;
  for (let digits = 0; ; digits += 1) {
    const byte = bytes[at + digits];
    if (byte === undefined) return 'more';
    if (byte === SPACE && digits > 0) return { length, start: at + digits + 1 };
    if (byte < ZERO || byte > NINE || digits === 7 || (digits === 0 && byte === ZERO)) return 'bad';
    length = length * 10 + byte - ZERO;
  }
}

/** Datagrams as the payload of one block: each with its length before it. */
export function joinDatagrams(datagrams: readonly Uint8Array[]): Uint8Array {
  const joined = Buffer.allocUnsafe(datagrams.reduce((sum, { length }) => sum + 4 + length, 0));
  let at = 0;
  for (const datagram of datagrams) {
    joined.writeUInt32BE(datagram.length, at);
    joined.set(datagram, at + 4);
    at += 4 + datagram.length;
  }
  return joined;
}
