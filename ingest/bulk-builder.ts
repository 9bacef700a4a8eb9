import { Bulk } from './bulk.ts';
import { ByteWriter } from './byte-writer.ts';
import type { Position } from './spool/reader.ts';

/** Puts the documents of a bulk together, whose bytes are written by `writer`. */
export class BulkBuilder {
  readonly writer: ByteWriter = new ByteWriter();
  #records = 0;
  #oldest = Infinity;
  #began: Map<number, Position> | undefined;

  /** Bytes of what was not taken. */
  get size(): number {
    return this.writer.length;
  }

  /**
   * Counts the document that was written. `arrivedAt` in µs since 1970; `began`: where the block starts in which the record
   * began, if it is another.
   */
  add(arrivedAt: number, began?: Position): void {
    if (began !== undefined) (this.#began ??= new Map()).set(this.#records, began);
    this.#records += 1;
    if (arrivedAt < this.#oldest) this.#oldest = arrivedAt;
  }

  /** What was added since the last time. */
  take(): Bulk {
    if (this.#records === 0) return Bulk.join([]);
    const { bytes, chunk } = this.writer.take();
    const bulk = new Bulk([bytes], this.#records, this.#oldest, this.#began, [chunk]);
    this.#records = 0;
    this.#oldest = Infinity;
    this.#began = undefined;
    return bulk;
  }
}
