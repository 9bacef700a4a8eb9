import { hash } from 'node:crypto';
import type { Batch } from '../parse/line.ts';
import { segmentPrefix } from '../parse/record-id.ts';
import { type DocumentOptions, renderCommon, renderDocument, renderReceipt } from '../parse/render-ecs.ts';
import { beginDocument, endId } from '../bulk.ts';
import type { BulkBuilder } from '../bulk-builder.ts';
import type { CommonFacts, ContainerFacts } from '../record.ts';

/** µs of arrivals that one note tells of; and for how long what belongs to them may still come. */
const span = 60_000_000;
const patience = 2_000_000;

/** Notes that wait. */
const mostNotes = 4096;

/** A record that was dropped. */
export interface Dropped {
  /** By which rule. */
  readonly rule: string;
  readonly facts: CommonFacts;
  readonly batch: Batch;
  readonly sequence: number;
}

/** Records that were dropped, and what is told of them. */
export interface Note {
  /** The first of them, and how many they are. */
  readonly first: Dropped;
  readonly count: number;
  /** Arrival of the last, in µs since 1970. */
  readonly arrivedAt: number;
}

/**
 * Collects what is dropped into one note a minute of arrivals, segment, container and rule. These alone make its id: so one
 * that is read again, if only in part, has it again, and a sink keeps the first. A death loses what has not been told.
 */
export class Notes {
  readonly #waiting = new Map<string, { first: Dropped; count: number; arrivedAt: number }>();

  add(dropped: Dropped): void {
    const key = keyOf(dropped);
    const { arrivedAt } = dropped.batch.block;
    const note = this.#waiting.get(key);
    if (note === undefined) this.#waiting.set(key, { first: withoutBytes(dropped), count: 1, arrivedAt });
    else {
      note.count += 1;
      note.arrivedAt = Math.max(note.arrivedAt, arrivedAt);
    }
  }

  /** Notes to which nothing more comes, for a block of this segment arrived then. */
  before(segment: string, arrivedAt: number): Note[] {
    if (this.#waiting.size === 0) return [];
    const full = this.#waiting.size > mostNotes;
    return this.#take(
      ({ batch: { block } }) =>
        full || block.segment.id !== segment || minuteOf(arrivedAt - patience) > minuteOf(block.arrivedAt),
    );
  }

  /** All of them: nothing more comes. */
  end(): Note[] {
    return this.#take(() => true);
  }

  #take(isDone: (first: Dropped) => boolean): Note[] {
    const taken = [...this.#waiting].filter(([, { first }]) => isDone(first));
    for (const [key] of taken) this.#waiting.delete(key);
    return taken.map(([, note]) => note);
  }
}

/** Adds the document that tells of dropped records. */
export function addNote({ first, count, arrivedAt }: Note, options: DocumentOptions, builder: BulkBuilder): void {
  const { rule, facts, batch, sequence } = first;
  const lines = count === 1 ? '1 record was' : `${count} records were`;
  const own = {
    timestamp: arrivedAt,
    message: `${lines} dropped by the rule ${rule}`,
    fields: { rule, dropped: count },
  };
  const { writer } = builder;
  // No record's id has a `_` where its offset begins.
  writer.text(`${beginDocument}${segmentPrefix(batch.block.segment)}_${digestOf(first)}${endId}`);
  const event = renderReceipt(arrivedAt, Date.now() * 1000);
  renderDocument(writer, own, ['dropped'], renderCommon(facts, options), { event, sequence });
  writer.text('\n');
  builder.add(arrivedAt);
}

function digestOf(first: Dropped): string {
  return hash('sha256', keyOf(first), 'base64url').slice(0, 6);
}

/** What a note says of where its records came from. */
export function originOfNote({ host, cluster, container }: CommonFacts): CommonFacts {
  const { id, name, runtime, imageName, imageTag, repository }: ContainerFacts = container ?? {};
  const known = {
    ...(id !== undefined && { id }),
    ...(name !== undefined && { name }),
    ...(runtime !== undefined && { runtime }),
    ...(imageName !== undefined && { imageName }),
    ...(imageTag !== undefined && { imageTag }),
    ...(repository !== undefined && { repository }),
  };
  return { host, cluster, ...(container && { container: known }) };
}

function keyOf({ rule, facts: { host, cluster, container }, batch: { block } }: Dropped): string {
  const { id, name } = container ?? {};
  return JSON.stringify([block.segment.id, minuteOf(block.arrivedAt), rule, cluster, host, id ?? name]);
}

function minuteOf(arrivedAt: number): number {
  return Math.floor(arrivedAt / span);
}

/** A block's bytes are not kept. */
function withoutBytes(dropped: Dropped): Dropped {
  const { batch } = dropped;
  return { ...dropped, batch: { ...batch, block: { ...batch.block, payload: new Uint8Array() } } };
}
