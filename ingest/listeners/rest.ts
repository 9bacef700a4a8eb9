const empty = new Uint8Array(0);

/** Bytes of what is unfinished, in memory of their own that doubles as it grows: tiny chunks must not cost more. */
export class Rest {
  #bytes = empty;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The memory that it takes, in bytes. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** What is kept; a view that stays as it is, whatever is kept later. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Keeps these bytes alone, in new memory. */
  set(bytes: Uint8Array): void {
    this.#length = 0;
    this.#bytes = empty;
    if (bytes.length > 0) this.add(bytes);
  }

  add(chunk: Uint8Array): void {
    const needed = this.#length + chunk.length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, Math.min(this.#bytes.length * 2, needed + 1_048_576), 64));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = needed;
  }

  /** What was kept, and the chunk after it; nothing is kept any more. */
  take(chunk: Uint8Array): Uint8Array {
    const kept = this.bytes;
    this.set(empty);
    return kept.length === 0 ? chunk : chunk.length === 0 ? kept : Buffer.concat([kept, chunk]);
  }
}
