import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = resolve(import.meta.dirname, '../..');

/** A real shiplog process on a folder and ports of its own, which outlive its kills and restarts. */
export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly httpPort: number;
  /** Of TCP and UDP both. */
  readonly syslogPort: number;
  readonly data: string;
  /** Of the supervisor that runs now; undefined: none does. */
  readonly pid: () => number | undefined;
  /** All that it printed since the first start. */
  readonly output: () => string;
  /** The environment in which its command line finds it. */
  readonly env: NodeJS.ProcessEnv;
  /** Starts it and waits until it is ready. */
  start(): Promise<void>;
  /** SIGKILL, to workers too; resolves when all are gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/**
 * Starts shiplog; disposing ends it and removes its folder. Where it speaks HTTPS, this process must trust its certificate
 * (`trustTestAuthority`).
 */
export async function startServer(settings: Record<string, string> = {}): Promise<Server> {
  const data = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
  const [httpPort, syslogPort] = [await freePort(), await freePort()];
  const env: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    SHIPLOG_DATA: data,
    SHIPLOG_WORKERS: '1',
    SHIPLOG_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
    SHIPLOG_INGEST_SYSLOG_TCP: `127.0.0.1:${syslogPort}`,
    SHIPLOG_INGEST_SYSLOG_UDP: `127.0.0.1:${syslogPort}`,
    ...settings,
  };
  const url = `${settings['SHIPLOG_HTTP_TLS_CERT'] === undefined ? 'http' : 'https'}://127.0.0.1:${httpPort}`;
  let output = '';
  let child: ChildProcess | undefined;

  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    // Its output is closed when the last of its workers is gone.
    const closed = once(child, 'close');
    if (signal === 'SIGKILL') killGroup(child);
    else child.kill(signal);
    await closed;
    return child.exitCode;
  };

  // A test that is out of time does not dispose.
  const endAtExit = (): void => void (child !== undefined && killGroup(child));
  process.once('exit', endAtExit);

  const server: Server = {
    url,
    host: '127.0.0.1',
    httpPort,
    syslogPort,
    data,
    env,
    pid: () => child?.pid,
    output: () => output,
    async start() {
      const started = spawn(process.execPath, [join(root, 'src/main.ts')], {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
      child = started;
      const before = output.length;
      for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
      for (let attempt = 0; attempt < 600; attempt += 1) {
        if (started.exitCode !== null) break;
        const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
        // The first worker answers before the others are up.
        if (answer?.ok === true && output.includes('"msg":"started"', before)) return;
        await sleep(50);
      }
      await end('SIGKILL');
      throw new Error(`shiplog did not become ready:\n${output.slice(-4000)}`);
    },
    async kill() {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
    async [Symbol.asyncDispose]() {
      await end('SIGKILL');
      process.off('exit', endAtExit);
      await rm(data, { recursive: true, force: true });
    },
  };
  try {
    await server.start();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

/** Kills a process that leads its group, with its workers: what a power cut does, as far as processes go. */
export function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Ports that were given; the system may offer one again as soon as it is let go. */
const given = new Set<number>();

/** A TCP port of the loopback that nothing listens on, and that this process was not given before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const address = probe.address();
    probe.close();
    await once(probe, 'close');
    if (address === null || typeof address === 'string') throw new Error('no port');
    if (given.has(address.port)) continue;
    given.add(address.port);
    return address.port;
  }
}
