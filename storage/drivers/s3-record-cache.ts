import type { FoundRecord } from './s3-record.ts';

/** Records that are kept, and the bytes of uploads in them, at most. */
const [mostRecords, mostBytes] = [1000, 32 * 1024 * 1024];

/** Records as this process knows them: each may be out of date. The oldest make room. */
export class RecordCache {
  readonly #records = new Map<string, FoundRecord>();
  #bytes = 0;

  get(id: string): FoundRecord | undefined {
    return this.#records.get(id);
  }

  set(id: string, found: FoundRecord): void {
    this.delete(id);
    this.#records.set(id, found);
    this.#bytes += found.record.tail.length;
    for (const oldest of this.#records.keys()) {
      if (this.#records.size <= mostRecords && this.#bytes <= mostBytes) return;
      this.delete(oldest);
    }
  }

  delete(id: string): void {
    this.#bytes -= this.#records.get(id)?.record.tail.length ?? 0;
    this.#records.delete(id);
  }
}
