/** What clients do with a registry, in the order in which it is tried. */
export const actions = ['log in', 'push', 'pull', 'list tags', 'attach', 'discover', 'copy', 'delete'] as const;
export type Action = (typeof actions)[number];

/** A client, and what it has no command for. */
export interface ClientKind {
  readonly name: string;
  /** Why it does not do something. */
  readonly cannot: Readonly<Partial<Record<Action, string>>>;
  /** Starts it on folders of its own: no configuration and no login of this machine counts. */
  start(): Promise<Client>;
}

/**
 * A client. Images are named `HOST/REPOSITORY:TAG`. A call that fails throws with what the client printed. What its
 * kind says that it cannot do, it has no method for.
 */
export interface Client extends AsyncDisposable {
  /** Such as `1.9`. */
  readonly version: string;
  /** Makes it use a name and a password from now on; a client may throw where they are wrong. */
  login(host: string, name: string, password: string): Promise<unknown>;
  /** Pushes an image, or an artifact, of its own making. */
  push(image: string): Promise<unknown>;
  /** Pulls what is not here yet. @returns the digest that it found */
  pull(image: string): Promise<string>;
  listTags?(repository: string): Promise<string[]>;
  /** Copies it to another name in the registry; what is attached too, where it can attach. */
  copy?(from: string, to: string): Promise<unknown>;
  /** Attaches an artifact. */
  attach?(image: string): Promise<unknown>;
  /** The digests of what is attached. */
  discover?(image: string): Promise<string[]>;
  delete?(image: string): Promise<unknown>;
}

/** The usual reason. */
export const noCommand = 'it has no such command';

/** The first `MAJOR.MINOR` in what a client says of itself. */
export function versionIn(output: string): string {
  return /\d+\.\d+/.exec(output)?.[0] ?? output;
}

/** The lines of an output, without empty ones. */
export function lines(output: string): string[] {
  return output.split('\n').filter(Boolean);
}
