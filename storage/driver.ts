/** An entry of a folder of keys. */
export interface Entry {
  readonly name: string;
  /** Whether keys lie below it; else it is a key itself. */
  readonly folder: boolean;
}

/** Small content, and the key that it is put under. */
export interface Content {
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** Both ends count. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Where keys and their bytes are kept. Keys are paths of safe parts joined by `/`. There is no append and no rename by
 * key. Any call can fail with what the system says, or with a `StorageError` NO_SPACE.
 */
export interface Driver extends AsyncDisposable {
  /** Unfinished uploads. */
  readonly uploads: UploadArea;

  /** The size in bytes; undefined: there is no such key. */
  stat(key: string): Promise<{ size: number } | undefined>;

  /**
   * Small content as a whole, which is not to be changed: others may be given the same bytes. Undefined: there is no such
   * key, or it holds more than `limit` bytes.
   */
  get(key: string, limit: number): Promise<Uint8Array | undefined>;

  /** The bytes of a span that lies within the key's size, in pieces of some 100 KiB, read as they are asked for. */
  read(key: string, span: Span): AsyncIterable<Uint8Array>;

  /**
   * Puts small content, in place of whatever was there: a reader sees the old or the new, whole. It survives a power cut
   * when this resolves, unless it is a hint, which may be lost or emptied by one.
   */
  put(key: string, bytes: Uint8Array, options?: { hint: boolean }): Promise<void>;

  /**
   * Puts small content in steps: what one step puts survives a power cut before any of the next is seen. Absent: it costs
   * no less than to put each by itself.
   */
  putInSteps?(steps: readonly (readonly Content[])[]): Promise<void>;

  /**
   * Removes a key or a folder with all below it, at once for any reader. False: it is not there. After a power cut it is
   * still removed, unless it was a hint.
   */
  delete(key: string, options?: { hint: boolean }): Promise<boolean>;

  /**
   * Removes a key of small content if it holds just these bytes, durably, and those folders on the way to it, `within`
   * and below, that have nothing else. False: it is not there, or holds something else, which stays, though a reader may
   * miss it for a moment.
   */
  deleteSame(key: string, bytes: Uint8Array, within: string): Promise<boolean>;

  /** What a folder has, in no order; nothing if it is not there. */
  list(folder: string): Promise<Entry[]>;

  /**
   * What changes with each entry that is added to a folder or taken from it; not with what happens below its entries.
   * Undefined: there is no telling, or no such folder. Absent: there never is.
   */
  version?(folder: string): Promise<string | undefined>;

  /** When it resolves, these keys survive a power cut, whoever put them. One that is not there does no harm. */
  settle(keys: readonly string[]): Promise<void>;

  /**
   * All keys below a folder, in byte order, from the first that sorts after `after` on; none if it is not there. What is
   * put or deleted meanwhile may be among them or not. Only the folders on the way to one are held in memory.
   */
  walk(folder: string, after?: string): AsyncIterable<{ key: string; size: number }>;

  /**
   * Gives a key's content another key, in place of whatever was there, and durable; the old key is gone. It need not be at
   * once: a reader may see both, or neither. False: it is not there, or was put again meanwhile, and stays.
   */
  move(from: string, to: string): Promise<boolean>;

  /** Removes what work that broke off has left, and nobody touched for `age` ms. Uploads that can go on stay. */
  sweep(age: number): Promise<void>;

  /** Bytes that can still be written; undefined: there is no telling. */
  free(): Promise<number | undefined>;

  /** A URL at which anyone can read a key's content for an hour. Absent: clients are not to be sent elsewhere. */
  presign?(key: string): Promise<string>;
}

/**
 * Unfinished uploads. Each has a note, which is the caller's, and bytes that are only ever added to. They survive the end
 * of the process; after a power cut they may be gone, never wrong.
 */
export interface UploadArea {
  /** Bytes below which a request's worth of an upload costs more than it need, though it is taken. Absent: there is no such. */
  readonly leastChunk?: number;

  create(id: string, note: string): Promise<void>;

  /** How it stands, which another may be changing. Undefined: there is none. */
  state(id: string): Promise<{ offset: number; note: string } | undefined>;

  /**
   * Takes the lease: whoever held it before fails with UPLOAD_TAKEN_OVER from now on. Undefined: there is no such upload.
   * `target`: the key that the upload is to become under this very lease, as far as the caller knows it. Where the lease
   * ends otherwise, what was added under it may be lost.
   */
  open(id: string, options?: { target?: string }): Promise<UploadLease | undefined>;

  /** All unfinished uploads, in no order. `idle`: ms since a request last did something with it. */
  list(): AsyncIterable<{ id: string; idle: number; note: string }>;
}

/** The right to go on with an upload. It is ended by `save`, `commit` or `abort`, also when that fails. */
export interface UploadLease {
  /** Grows with each lease of this upload. */
  readonly generation: number;
  /** The generation that left the upload at `offset`. */
  readonly inherited: number;
  /** Bytes that the upload holds. */
  readonly offset: number;
  /** As it was saved last. */
  readonly note: string;

  /**
   * Adds bytes, which are the caller's again when it is done. After a failure `offset` says what was kept, and only `save` or `abort`
   * are of use.
   */
  append(chunks: readonly Uint8Array[]): Promise<void>;

  /** All bytes from the start. */
  read(): AsyncIterable<Uint8Array>;

  /** Makes the bytes durable and keeps a note with them. */
  save(note: string): Promise<void>;

  /** Makes them the content of a key, in place of whatever was there, and durable; the upload is gone. */
  commit(key: string): Promise<void>;

  /** Throws the upload away. */
  abort(): Promise<void>;
}
