import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a program is started. Its environment is only what stands here: no proxy and no login of this machine. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs a program to its end. @returns what it wrote to stdout @throws where it fails, with all that it wrote */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const child = spawn(command, args, { env: { PATH: systemPath, ...options.env }, stdio: 'pipe' });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
  return stdout;
}

/** A program that goes on running. */
export interface Daemon extends AsyncDisposable {
  readonly pid: number;
  /** All that it wrote. */
  readonly output: () => string;
}

/**
 * Starts a program and waits until it is ready. Disposing asks it to end, and kills it after 20 s.
 * @throws where it ends before it is ready, or is not ready within 60 s, with what it wrote
 */
export async function startDaemon(
  command: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
  options: RunOptions = {},
): Promise<Daemon> {
  const child: ChildProcess = spawn(command, args, {
    env: { PATH: systemPath, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const spawned = once(child, 'spawn');
  let output = '';
  child.stdout?.on('data', (chunk) => (output += String(chunk)));
  child.stderr?.on('data', (chunk) => (output += String(chunk)));
  await spawned;
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} has no process`);
  const daemon: Daemon = {
    pid,
    output: () => output,
    async [Symbol.asyncDispose]() {
      if (ended()) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await exit;
      clearTimeout(timer);
    },
  };
  for (let attempt = 0; attempt < 600 && !ended(); attempt += 1) {
    if (await ready().catch(() => false)) return daemon;
    await sleep(100);
  }
  await daemon[Symbol.asyncDispose]();
  throw new Error(`${command} did not become ready:\n${output.slice(-4000)}`);
}
