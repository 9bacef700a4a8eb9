import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { run } from '../../src/cli/run.ts';
import { killGroup } from './server.ts';

const main = join(resolve(import.meta.dirname, '../..'), 'src/main.ts');

/** What a command printed, and its exit code. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `shiplog ARGS` in this process, with this environment alone. */
export async function shiplog(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdin: string | Uint8Array = '',
): Promise<Outcome> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const printed = Promise.all([text(stdout), text(stderr)]);
  const code = await run({ args, env, stdin: Readable.from([stdin]), stdout, stderr });
  stdout.end();
  stderr.end();
  const [out, err] = await printed;
  return { code, stdout: out, stderr: err };
}

/** Runs it as a process of its own. */
export async function shiplogProcess(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdin = '',
  user: { uid?: number; gid?: number } = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [main, ...args], { ...user, env, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, stdout, stderr };
}

/** A command that goes on until it is ended; disposing kills it. */
export interface Running extends AsyncDisposable {
  /** The first line of its log that has this message. */
  logged(message: string): Promise<Record<string, unknown>>;
  /** Sends a signal that does not end it. */
  kill(signal: NodeJS.Signals): void;
  /** Sends a signal and waits for the end: exit code, or the signal that it died of. */
  end(signal: NodeJS.Signals): Promise<[code: number | null, signal: NodeJS.Signals | null]>;
}

/** Starts it as a process of its own. */
export function spawnShiplog(args: readonly string[], env: NodeJS.ProcessEnv): Running {
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  // A test that is out of time does not dispose.
  process.once('exit', () => killGroup(child));
  const closed = once(child, 'close');
  let output = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  return {
    async logged(message) {
      for (;;) {
        const lines = output.split('\n').slice(0, -1);
        const line = lines.find((text) => text.endsWith(`"msg":${JSON.stringify(message)}}`));
        if (line !== undefined) return JSON.parse(line);
        if (child.exitCode !== null) throw new Error(`it ended without ${message}: ${output}`);
        await sleep(10);
      }
    },
    kill: (signal) => void child.kill(signal),
    async end(signal) {
      child.kill(signal);
      await closed;
      return [child.exitCode, child.signalCode];
    },
    async [Symbol.asyncDispose]() {
      killGroup(child);
      await closed;
    },
  };
}
