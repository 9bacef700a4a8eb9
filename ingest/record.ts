import type { Position } from './spool/reader.ts';

/** Facts of a syslog header (RFC 5424 section 6.2), as far as the line had them. */
export interface SyslogHeader {
  /** 0 to 191; facility × 8 + severity. Absent where the line has none. */
  readonly priority?: number;
  readonly hostname?: string;
  readonly appname?: string;
  readonly procid?: string;
  readonly msgid?: string;
  readonly structuredData?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What is known of the container that wrote a record. */
export interface ContainerFacts {
  readonly id?: string;
  readonly name?: string;
  /** `docker`, where Docker wrote the header. */
  readonly runtime?: string;
  /** The image's name as Docker knew it, without tag and digest: `registry.corp/team/web`. */
  readonly imageName?: string;
  readonly imageTag?: string;
  /** Manifest digests. */
  readonly imageHashes?: readonly string[];
  /** The image's name without the registry's host: `team/web`. */
  readonly repository?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** One log record: what a frame says, tagged; before it is rendered. Absent means unknown. */
export interface LogRecord {
  /** `_id`: segment base, segment id, frame offset (and ordinal); it sorts in time order. */
  readonly id: string;
  /** `event.sequence`. */
  readonly sequence: number;
  /** `@timestamp` in µs since 1970. */
  readonly timestamp: number;
  /** `event.created`: arrival in µs since 1970. */
  readonly createdAt: number;
  readonly message: string;
  readonly host: string;
  readonly cluster: string;
  readonly level?: string;
  /** `log.logger`. */
  readonly logger?: string;
  readonly stream?: 'stdout' | 'stderr';
  /** The stamp as it came, where `timestamp` is not it. */
  readonly timeOriginal?: string;
  readonly syslog?: SyslogHeader;
  readonly container?: ContainerFacts;
  readonly source?: { readonly ip: string; readonly port: number };
  /** `parse_failure`, `truncated`, … */
  readonly tags?: readonly string[];
  /** Why the record carries a tag such as `parse_failure`. */
  readonly error?: string;
  /** ECS objects that came as they are (`service`, `trace`, …), merged into the document. */
  readonly ecs?: Readonly<Record<string, unknown>>;
  /** All else that a JSON record had. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** A record ready for a sink. */
export interface LogDocument {
  readonly record: LogRecord;
  /** The ECS document as JSON text, without line breaks. */
  readonly json: string;
  /** Where the block starts in which the record began; absent: it is the one in which it ended. */
  readonly began?: Position;
}
