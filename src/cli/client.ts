import { readFile } from 'node:fs/promises';
import { isLoopback } from '../auth/loopback.ts';
import { type Config, formatAddress } from '../config.ts';
import { cliKeyFile } from '../data-folder.ts';
import { escapeControls } from '../escape.ts';
import { hasCode } from '../system-error.ts';
import { CommandError, UsageError } from './command.ts';
import { upload } from './upload.ts';

/** How a running server is reached. */
export interface ClientOptions {
  readonly config: Config;
  readonly env: NodeJS.ProcessEnv;
  /** `--url`; else `$SHIPLOG_URL`, else the configured listener. A user and a password in it are a log-in. */
  readonly url: string | undefined;
  /** `--user name:password`; else the URL's, else `$SHIPLOG_USER` and `$SHIPLOG_PASSWORD`, else the key that the server left. */
  readonly user: string | undefined;
}

/** The options by which a command finds its server. */
export const clientOptions = {
  url: { type: 'string' },
  user: { type: 'string' },
  config: { type: 'string' },
} as const;

/** What `--help` says of them. */
export const clientUsage = `  --url URL            the server; else $SHIPLOG_URL, else the configured one
  --user NAME:PASSWORD the log-in; else the URL's, else $SHIPLOG_USER and $SHIPLOG_PASSWORD; not needed on the server's
                       machine
  --config FILE        the configuration file
`;

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
  const url = new URL(path, base);
  let answer: Response;
  try {
    // Credentials are for this server; so a redirect is not followed.
    const fields = { ...headers, ...(authorization !== undefined && { authorization }) };
    answer =
      body === undefined || body instanceof Uint8Array
        ? await fetch(url, { method, redirect: 'manual', headers: fields, ...(body !== undefined && { body }) })
        : await upload(url, { method, headers: fields }, body);
  } catch (error) {
    const { cause } = error instanceof Error ? error : {};
    const reason = cause instanceof Error && cause.message !== '' ? cause.message : String(error);
    throw new CommandError(
      `no shiplog answers at ${base.origin} (${reason}); is it running (npm start)? ` +
        'For another one give --url or $SHIPLOG_URL.',
      { cause: error },
    );
  }
  if (answer.ok || also.includes(answer.status)) return answer;
  throw new CommandError(
    `${base.origin} answers ${answer.status}: ${await explain(answer, authorization?.startsWith('Basic ') === true)}`,
  );
}

/** Where the server is, and the log-in that its URL had: it is in no URL that is asked or told of. */
function findServer({ url, env, config }: ClientOptions): { base: URL; login: string } {
  const text = url ?? env['SHIPLOG_URL'];
  if (text === undefined || text === '') {
    const { host, port } = config.http.listen;
    const wildcards: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
    return { base: new URL(`http://${formatAddress({ host: wildcards[host] ?? host, port })}`), login: '' };
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
  const isOurs = (url ?? env['SHIPLOG_URL'] ?? '') === '' || isLoopback(base.hostname.replace(/^\[|\]$/g, ''));
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
