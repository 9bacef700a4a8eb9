import type { Driver, Entry, Span, UploadArea, UploadLease } from '../driver.ts';
import { StorageError } from '../errors.ts';

/** Keeps everything in memory, and nothing after the end of the process: for tests. */
export function openMemory(): Driver {
  const objects = new Map<string, Buffer>();
  const put = async (key: string, bytes: Uint8Array): Promise<void> => {
    objects.set(key, Buffer.from(bytes));
  };
  const isIn = (key: string, folder: string): boolean => key === folder || key.startsWith(`${folder}/`);
  return {
    uploads: new MemoryUploads(put),
    put,
    stat: async (key) => {
      const bytes = objects.get(key);
      return bytes && { size: bytes.length };
    },
    get: async (key, limit) => {
      const bytes = objects.get(key);
      return bytes !== undefined && bytes.length <= limit ? bytes : undefined;
    },
    read: (key, span) => pieces(objects.get(key) ?? Buffer.alloc(0), span),
    delete: async (key) => {
      const found = [...objects.keys()].filter((other) => isIn(other, key));
      for (const other of found) objects.delete(other);
      return found.length > 0;
    },
    deleteSame: async (key, bytes) => objects.get(key)?.equals(bytes) === true && objects.delete(key),
    list: async (folder) => {
      const entries = new Map<string, Entry>();
      for (const key of objects.keys()) {
        if (key === folder || !isIn(key, folder)) continue;
        const [name = '', ...below] = key.slice(folder.length + 1).split('/');
        entries.set(name, { name, folder: below.length > 0 });
      }
      return [...entries.values()];
    },
    settle: async () => undefined,
    async *walk(folder, after = '') {
      for (const key of [...objects.keys()].sort()) {
        const bytes = objects.get(key);
        if (bytes !== undefined && key !== folder && isIn(key, folder) && key > after)
          yield { key, size: bytes.length };
      }
    },
    move: async (from, to) => {
      const bytes = objects.get(from);
      if (bytes === undefined) return false;
      objects.delete(from);
      objects.set(to, bytes);
      return true;
    },
    sweep: async () => undefined,
    free: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function* pieces(bytes: Uint8Array, span: Span): AsyncGenerator<Uint8Array, void, void> {
  for (let at = span.start; at <= span.end; at += 65_536) yield bytes.subarray(at, Math.min(at + 65_536, span.end + 1));
}

interface Upload {
  note: string;
  touched: number;
  generation: number;
  /** The lease after which the bytes were what they are. */
  writer: number;
  bytes: Buffer;
}

class MemoryUploads implements UploadArea {
  readonly #uploads = new Map<string, Upload>();
  readonly #put: (key: string, bytes: Uint8Array) => Promise<void>;

  constructor(put: (key: string, bytes: Uint8Array) => Promise<void>) {
    this.#put = put;
  }

  async create(id: string, note: string): Promise<void> {
    this.#uploads.set(id, { note, touched: Date.now(), generation: 0, writer: 0, bytes: Buffer.alloc(0) });
  }

  async *list(): AsyncGenerator<{ id: string; idle: number; note: string }, void, void> {
    for (const [id, { note, touched }] of this.#uploads) yield { id, note, idle: Date.now() - touched };
  }

  async state(id: string): Promise<{ offset: number; note: string } | undefined> {
    const upload = this.#uploads.get(id);
    return upload && { offset: upload.bytes.length, note: upload.note };
  }

  async open(id: string): Promise<UploadLease | undefined> {
    const upload = this.#uploads.get(id);
    if (upload === undefined) return undefined;
    const generation = (upload.generation += 1);
    const inherited = upload.writer;
    upload.writer = generation;
    const held = (): Upload => {
      if (this.#uploads.get(id) !== upload) throw new StorageError('UPLOAD_UNKNOWN', 'there is no such upload');
      if (upload.generation !== generation) {
        throw new StorageError('UPLOAD_TAKEN_OVER', 'another request goes on with this upload');
      }
      upload.touched = Date.now();
      return upload;
    };
    return {
      generation,
      inherited,
      note: upload.note,
      get offset() {
        return upload.bytes.length;
      },
      append: async (chunks) => {
        upload.bytes = Buffer.concat([held().bytes, ...chunks]);
      },
      read: () => pieces(upload.bytes, { start: 0, end: upload.bytes.length - 1 }),
      save: async (note) => {
        held().note = note;
      },
      commit: async (key) => {
        await this.#put(key, held().bytes);
        this.#uploads.delete(id);
      },
      abort: async () => {
        held();
        this.#uploads.delete(id);
      },
    };
  }
}
