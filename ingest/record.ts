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

/** What all records of one source and header have in common. Absent means unknown. */
export interface CommonFacts {
  readonly host: string;
  readonly cluster: string;
  readonly level?: string;
  readonly stream?: 'stdout' | 'stderr';
  readonly syslog?: SyslogHeader;
  readonly container?: ContainerFacts;
  readonly source?: { readonly ip: string; readonly port: number };
}

/** What a record says beside what it has in common with others. */
export interface Own {
  readonly message: string;
  /** `@timestamp` in µs since 1970. */
  readonly timestamp: number;
  /** The stamp as it came, where `timestamp` is not it. */
  readonly timeOriginal?: string;
  /** Why its frame could not be parsed, or not wholly. */
  readonly error?: string;
  /** What the application says of it; else the header does. */
  readonly level?: string;
  /** `log.logger`. */
  readonly logger?: string;
  /** ECS objects that came as they are (`service`, `trace`, …), merged into the document. */
  readonly ecs?: Readonly<Record<string, unknown>>;
  /** All else that a JSON record had. */
  readonly fields?: Readonly<Record<string, unknown>>;
}
