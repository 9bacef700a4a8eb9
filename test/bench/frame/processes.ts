import { execFileSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';

/** Clock ticks in a second, in which Linux counts CPU time. */
const ticks = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** The CPU time in seconds that processes, and all that they started, have used so far. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let total = 0;
  // User and system time, of the process and of its children that have ended (proc_pid_stat(5), 14 to 17).
  for (const { stat } of await tree(pids)) for (const field of stat.slice(11, 15)) total += Number(field);
  return total / ticks;
}

/** Bytes that processes and those below them held at most: the sum of the peaks of each one. */
export async function peakMemory(pids: readonly number[]): Promise<number> {
  let total = 0;
  for (const { pid } of await tree(pids)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    total += Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  }
  return total;
}

interface Process {
  readonly pid: number;
  /** The fields of its `stat` that come after its name, from the third on. */
  readonly stat: readonly string[];
}

/** Processes and all below them. */
async function tree(pids: readonly number[]): Promise<Process[]> {
  if (pids.length === 0) return [];
  const every: Process[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // Processes end at any time.
    const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => undefined);
    if (text !== undefined) every.push({ pid: Number(name), stat: text.slice(text.lastIndexOf(')') + 2).split(' ') });
  }
  const found = every.filter(({ pid }) => pids.includes(pid));
  for (const parent of found) found.push(...every.filter(({ stat }) => Number(stat[1]) === parent.pid));
  return found;
}
