/**
 * How the payload of a block is divided into frames.
 *
 * - `lf-stream`: each frame ends in LF; the last one of the block may lack it, if `flags` says why.
 * - `octet-stream`: each frame is `LENGTH SP bytes` (RFC 6587 section 3.4.1).
 * - `datagrams`: each frame is a 32-bit big-endian length and that many bytes.
 * - `json-records`: each frame is one JSON object on one line, ended by LF; it was validated before.
 * - `mark`: no sender's; it has no frames. Lines whose pieces lie before the place that the payload names are whole.
 * - `forward`: as `datagrams`; what would be the first frame is the tag of all others, each of which is an event of the
 *   forward protocol: `[time, record]`, in msgpack.
 * - `gelf`: as `datagrams`; each frame is a message of the Graylog Extended Log Format, not compressed.
 */
export type BlockKind = 'lf-stream' | 'octet-stream' | 'datagrams' | 'json-records' | 'mark' | 'forward' | 'gelf';

/** Who sent a block: all that is the same for a whole connection. Resolved facts only, never configuration. */
export interface Source {
  /** The listener's name: `syslog-tcp`, `syslog-tls`, `syslog-udp`, `syslog-unix`, `http`, `hec`, `forward`, … */
  readonly listener: string;
  /** Random and unique over all lives of all processes: 16 bytes as hex. Datagram sources have one each too. */
  readonly connection: string;
  /** The sender's address; absent where there is none. */
  readonly peer?: { readonly address: string; readonly port: number };
  /** The machine that the sender is on, where it has no address: the host of lines that name none. */
  readonly machine?: string;
  /** The cluster that the listener's rules, or the token, give this sender, which the line itself cannot change. */
  readonly cluster?: string;
  /** The host that the token gives this sender, likewise. */
  readonly host?: string;
  /** The name of the token that the sender showed. */
  readonly token?: string;
}

/** What is odd about the end of a block. */
export interface BlockFlags {
  /** The last frame lacks its end because the connection ended. */
  readonly unterminated?: boolean;
  /** The last frame was cut at `max_frame`; the next block of this connection goes on with the rest of it. */
  readonly cut?: boolean;
  /** The first frame goes on with what the block before left cut. */
  readonly continued?: boolean;
}

/** A run of whole frames of one source, under one receipt: the unit that listeners hand to the spool. */
export interface Block {
  readonly kind: BlockKind;
  readonly source: Source;
  /** Arrival of its last byte, in µs since 1970. */
  readonly arrivedAt: number;
  readonly flags: BlockFlags;
  /** Whoever hands it to the spool may free its memory once it is committed or refused. */
  readonly payload: Uint8Array;
}

/** The part of a segment's header that ids and order are made of. */
export interface SegmentIdentity {
  /** 16 random bytes as hex. */
  readonly id: string;
  /** µs since 1970; greater than that of the segment before by at least that one's length (design: event.sequence). */
  readonly base: number;
}

/** A committed block as the reader finds it in the spool. */
export interface StoredBlock extends Block {
  readonly segment: SegmentIdentity;
  /** Where the payload starts in the segment's file, in bytes. A frame's offset is this plus its place in the payload. */
  readonly offset: number;
}
