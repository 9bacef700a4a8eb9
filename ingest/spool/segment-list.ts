import type { WrittenSegment } from './writer.ts';

/** The segments of a directory, oldest first; and their size, which is asked for with each block. */
export class SegmentList<Segment extends WrittenSegment = WrittenSegment> {
  readonly #segments: Segment[] = [];
  #size = 0;

  constructor(segments: readonly Segment[] = []) {
    for (const segment of segments) this.add(segment);
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Bytes of all files. */
  get size(): number {
    return this.#size;
  }

  add(segment: Segment): void {
    this.#segments.push(segment);
    this.#size += segment.length;
  }

  /** One has become longer by so many bytes. */
  grew(bytes: number): void {
    this.#size += bytes;
  }

  /** Forgets a segment that was deleted. */
  forget(number: number): void {
    const index = this.#segments.findIndex((segment) => segment.number === number);
    const [segment] = index < 0 ? [] : this.#segments.splice(index, 1);
    this.#size -= segment?.length ?? 0;
  }
}
