import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { SenderToken } from '../http/state.ts';
import { StartError } from '../start-error.ts';
import { hasCode } from '../system-error.ts';

/** The tokens by which logs are sent, as their file has them. */
export interface SenderTokens extends Disposable {
  /** Undefined: there is no such token. */
  find(token: string): SenderToken | undefined;
  /** Whether a token gives its senders this cluster. */
  givesCluster(cluster: string): boolean;
}

/** A token that anyone could guess is none. */
const shortest = 16;
const interval = 1000;

/**
 * Reads the file of tokens, and watches it: a change counts within a second or two. A file that is gone lets nobody in;
 * of one that is broken the tokens stay as they were.
 * @throws {StartError} it cannot be read now, or is broken
 */
export async function openSenderTokens(file: string, log: Logger): Promise<SenderTokens> {
  let tokens = new Map<string, SenderToken>();
  let version = '';
  let broken = '';

  async function look(): Promise<void> {
    const stats = await stat(file, { bigint: true }).catch((error: unknown) => {
      if (hasCode(error, 'ENOENT') && version !== '') return undefined;
      throw error;
    });
    const now = stats === undefined ? 'absent' : `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
    if (now === version) return;
    tokens = stats === undefined ? new Map() : parseTokens(await readFile(file, 'utf8'));
    if (stats === undefined) log.error({ file }, 'the file of tokens is gone: no token is valid');
    else if (version !== '') log.info({ file, tokens: tokens.size }, 'the file of tokens was read');
    version = now;
  }

  async function refresh(): Promise<void> {
    try {
      await look();
      broken = '';
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== broken) log.error({ file, reason }, 'the file of tokens is broken; tokens stay as they were');
      broken = reason;
    }
  }

  try {
    await look();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`ingest.http.tokens_file is ${file}, and cannot be used: ${reason}`, { cause });
  }
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= refresh().finally(() => (running = undefined));
  }, interval).unref();
  return {
    find: (token) => tokens.get(hashOf(token)),
    givesCluster: (cluster) => tokens.values().some((token) => token.cluster === cluster),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** Tokens are looked up by their hash: how long that takes says nothing of what they begin with. */
function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/**
 * Reads lines of `NAME TOKEN [cluster=…] [host=…]`; what follows `#` at a line's start is a comment.
 * @throws Error that names the line, and never the token
 */
export function parseTokens(text: string): Map<string, SenderToken> {
  const tokens = new Map<string, SenderToken>();
  const names = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    const [name = '', token = '', ...tags] = line.trim().split(/\s+/);
    if (name === '' || name.startsWith('#')) continue;
    const fail = (what: string): never => {
      throw new Error(`line ${index + 1}: ${what}`);
    };
    if (names.has(name)) fail('there is a token of this name already');
    if (!/^[\x21-\x7e]*$/.test(token) || token.length < shortest)
      fail(`after the name a token of at least ${shortest} ASCII characters is expected`);
    const hash = hashOf(token);
    if (tokens.has(hash)) fail('there is the same token under another name');
    const fixed: { cluster?: string; host?: string } = {};
    for (const tag of tags) {
      const [, key, value] = /^(cluster|host)=(.+)$/.exec(tag) ?? [];
      if (value === undefined) fail('after the token only cluster=… and host=… are expected');
      if (key === 'cluster' || key === 'host') fixed[key] = value ?? '';
    }
    names.add(name);
    tokens.set(hash, { name, ...fixed });
  }
  return tokens;
}
