/** Where something listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** A descriptor that this process was started with, of a socket that is bound there: it is used instead of a new one. */
  readonly fd?: number;
}

/** `host:port` as it is written. */
export function formatAddress({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
