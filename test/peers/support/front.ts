import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hash } from 'bcryptjs';
import { type Server, startServer } from '../../support/server.ts';
import { behindNginx, type Nginx, type NginxOptions, startNginx } from './nginx.ts';
import { account } from './shiplog.ts';

/** Shiplogs that share their images and users, and nginx in front of them. */
export interface Front extends AsyncDisposable {
  readonly nginx: Nginx;
  readonly servers: readonly [Server, ...Server[]];
  /** Where images lie on disk, unless they are in a bucket. */
  readonly images: string;
}

/** The header of the one user. */
export const authorization = `Basic ${Buffer.from(`${account.name}:${account.password}`).toString('base64')}`;

/** Starts them. `settings` are those of each shiplog. */
export async function startFront(
  options: Omit<NginxOptions, 'backends' | 'images'> & {
    readonly instances?: number;
    readonly accel?: boolean;
    readonly settings?: Readonly<Record<string, string>>;
    /** Puts something between nginx and the shiplogs. @returns the ports at which nginx finds them */
    readonly between?: (servers: readonly Server[]) => Promise<readonly number[]>;
  } = {},
): Promise<Front> {
  const { instances = 1, accel = true, settings = {}, between, ...rest } = options;
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'shiplog-front-')));
  const [images, htpasswd] = [join(folder.path, 'images'), join(folder.path, 'htpasswd')];
  await writeFile(htpasswd, `${account.name}:${await hash(account.password, 4)}\n`);
  const start = async (): Promise<Server> =>
    stack.use(
      await startServer({
        ...behindNginx,
        SHIPLOG_AUTH_HTPASSWD: htpasswd,
        SHIPLOG_AUTH_TOKEN_KEY: 'a key that the instances have in common',
        SHIPLOG_STORAGE_DISK_ROOT: images,
        ...settings,
      }),
    );
  const servers: [Server, ...Server[]] = [await start()];
  while (servers.length < instances) servers.push(await start());
  const tlsPort = Number(settings['SHIPLOG_INGEST_SYSLOG_TLS_LISTEN']?.split(':')[1] ?? 0);
  const httpPorts = (await between?.(servers)) ?? servers.map(({ httpPort }) => httpPort);
  const backends = servers.map(({ syslogPort }, at) => ({ httpPort: httpPorts[at] ?? 0, syslogPort, tlsPort }));
  const nginx = stack.use(await startNginx({ ...rest, backends, ...(accel && { images }) }));
  const parts = stack.move();
  return { nginx, servers, images, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
