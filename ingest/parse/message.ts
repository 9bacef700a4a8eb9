import type { JsonRecord } from './json.ts';

/** A line as it may be a part of a longer one. */
export interface Part {
  /** What all parts of a line have in common, and others of the same connection do not. */
  readonly key: string;
  /** Whether more of the line follows. */
  readonly more: boolean;
  readonly bytes: Buffer;
}

/** What a message says that has fields: a JSON record, an event, … */
export interface Message extends JsonRecord {
  readonly part?: Part;
}

/** Who writes blocks of `json-records` that are events of Splunk's HTTP Event Collector. */
export const hecListener = 'hec';
