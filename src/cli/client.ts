import { readFile } from 'node:fs/promises';
import { isLoopback } from '../auth/loopback.ts';
import { type Config, formatAddress, loadConfig } from '../config.ts';
import { cliKeyFile } from '../data-folder.ts';
import { escapeControls } from '../escape.ts';
import { hasCode } from '../system-error.ts';
import { CommandError, UsageError } from './command.ts';
import { tlsFilesOf } from '../http/tls.ts';
import { send } from './send.ts';
import { type Trust, trustAuthorities, trustCertificate } from './trust.ts';

/** How a running server is reached. */
export interface ClientOptions {
  readonly config: Config;
  readonly env: NodeJS.ProcessEnv;
  /** `--url`; else `$SHIPLOG_URL`, else the configured listener. A user and a password in it are a log-in. */
  readonly url: string | undefined;
  /** `--user name:password`; else the URL's, else `$SHIPLOG_USER` and `$SHIPLOG_PASSWORD`, else the key that the server left. */
  readonly user: string | undefined;
  /** `--ca`: a file of the certificate authorities to trust. */
  readonly ca: string | undefined;
}

/** The options by which a command finds its server. */
export const clientOptions = {
  url: { type: 'string' },
  user: { type: 'string' },
  ca: { type: 'string' },
  config: { type: 'string' },
} as const;

/** What `--help` says of them. */
export const clientUsage = `  --url URL            the server; else $SHIPLOG_URL, else the configured one
  --user NAME:PASSWORD the log-in; else the URL's, else $SHIPLOG_USER and $SHIPLOG_PASSWORD; not needed on the server's
                       machine
  --ca FILE            whom to trust instead of the system's authorities, where the URL is https; else $NODE_EXTRA_CA_CERTS
  --config FILE        the configuration file
`;

/** What a command was told of its server. @throws {ConfigError} */
export function serverOf(
  { config, url, user, ca }: { [K in keyof typeof clientOptions]?: string },
  env: NodeJS.ProcessEnv,
): ClientOptions {
  return { config: loadConfig({ file: config, env }), env, url, user, ca };
}

/** What is sent. */
export interface Ask {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Statuses that the caller understands, beside those of success. */
  readonly also?: readonly number[];
}

/** Asks a running server. @throws {CommandError} which says what to do. */
export async function ask(path: string, options: ClientOptions, request: Ask = {}): Promise<Response> {
  const { method = 'GET', headers, body, also = [] } = request;
  const { base, login } = findServer(options);
  const authorization = await authorize(base, login, options);
  let answer: Response;
  try {
    // Credentials are for this server; so a redirect is not followed.
    const fields = { ...headers, ...(authorization !== undefined && { authorization }) };
    const trust = await findTrust(base, options);
    answer = await send(new URL(path, base), { method, headers: fields, body, trust });
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      `no shiplog answers at ${base.origin} (${reasonOf(error)}); is it running (npm start)? ` +
        'For another one give --url or $SHIPLOG_URL.',
      { cause: error },
    );
  }
  if (answer.ok || also.includes(answer.status)) return answer;
  throw new CommandError(
    `${base.origin} answers ${answer.status}: ${await explain(answer, authorization?.startsWith('Basic ') === true)}`,
  );
}

/** Where there are several addresses, each has its error. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** Whom to trust: the server of the configuration is known by its own certificate. */
async function findTrust(base: URL, { config, env, url, ca }: ClientOptions): Promise<Trust | undefined> {
  if (base.protocol !== 'https:') return undefined;
  if (ca !== undefined) return trustAuthorities(ca);
  const own = tlsFilesOf(config.http.tls);
  return isConfigured({ url, env }) && own !== undefined ? trustCertificate(own.cert) : undefined;
}

/** Whether the server is the one of the configuration, and no other is named. */
function isConfigured({ url, env }: Pick<ClientOptions, 'url' | 'env'>): boolean {
  return (url ?? env['SHIPLOG_URL'] ?? '') === '';
}

/** Where the server is, and the log-in that its URL had: it is in no URL that is asked or told of. */
function findServer({ url, env, config }: ClientOptions): { base: URL; login: string } {
  const text = url ?? env['SHIPLOG_URL'] ?? '';
  if (isConfigured({ url, env })) {
    const { host, port } = config.http.listen;
    const scheme = tlsFilesOf(config.http.tls) === undefined ? 'http' : 'https';
    const wildcards: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
    return { base: new URL(`${scheme}://${formatAddress({ host: wildcards[host] ?? host, port })}`), login: '' };
  }
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    const shown = text.replace(/^(\w+:\/\/)?.*@/s, '$1…@');
    throw new UsageError(`expected a URL such as http://127.0.0.1:5000, not ${shown}`);
  }
  const base = new URL(text);
  const [name, password] = [decode(base.username), decode(base.password)];
  base.username = '';
  base.password = '';
  return { base, login: password === '' ? name : `${name}:${password}` };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new UsageError("a % in the user or the password of the server's URL is written as %25", { cause });
  }
}

async function authorize(
  base: URL,
  urlLogin: string,
  { config, env, url, user }: ClientOptions,
): Promise<string | undefined> {
  const login = user ?? (urlLogin === '' ? (env['SHIPLOG_USER'] ?? '') : urlLogin);
  if (login !== '') {
    const colon = login.indexOf(':');
    const name = colon < 0 ? login : login.slice(0, colon);
    const password = colon < 0 ? env['SHIPLOG_PASSWORD'] : login.slice(colon + 1);
    if (password === undefined)
      throw new UsageError('a password is needed too: --user NAME:PASSWORD, or $SHIPLOG_PASSWORD');
    return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
  }
  // The key is for this machine's server, and goes nowhere else.
  const isOurs = isConfigured({ url, env }) || isLoopback(base.hostname.replace(/^\[|\]$/g, ''));
  if (!isOurs) return undefined;
  try {
    return `Bearer ${await readFile(cliKeyFile(config.data), 'utf8')}`;
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'EACCES')) return undefined;
    throw error;
  }
}

/** What an answer says is wrong, and what helps; `withUser`: a user and a password were given. */
async function explain(answer: Response, withUser: boolean): Promise<string> {
  const text = await answer.text();
  if (answer.status === 401 && !withUser)
    return 'it wants a user; give --user NAME:PASSWORD, or $SHIPLOG_USER and $SHIPLOG_PASSWORD';
  try {
    const body: { errors: { message: string }[] } = JSON.parse(text);
    return escapeControls(body.errors.map(({ message }) => message).join('; '));
  } catch {
    // HEAD has no body.
    if (text === '') return answer.statusText;
    return `${answer.statusText}; is that a shiplog?`;
  }
}
