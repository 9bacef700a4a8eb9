import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Result } from './bench.ts';
import { chart } from './chart.ts';
import { formatMachine, type Machine } from './machine.ts';

const folder = resolve(import.meta.dirname, '../../../bench');

interface Results {
  readonly machine: Machine;
  readonly results: readonly Result[];
}

/**
 * Keeps results in bench/results.json and bench/results.svg, beside those of other loads that were measured on the same
 * machine. `order`: the names of all loads there are; what is no longer among them goes.
 */
export async function keepResults(fresh: readonly Result[], machine: Machine, order: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'results.json');
  const before = parse(await readFile(path, 'utf8').catch(() => undefined));
  const older = before !== undefined && formatMachine(before.machine) === formatMachine(machine) ? before.results : [];
  const results = order.flatMap((name) => [...fresh, ...older].find((result) => result.name === name) ?? []);
  await writeFile(path, `${JSON.stringify({ machine, results } satisfies Results, undefined, 2)}\n`);
  await writeFile(join(folder, 'results.svg'), chart(results, machine));
}

/** What this wrote. */
function parse(text: string | undefined): Results | undefined {
  return text === undefined ? undefined : JSON.parse(text);
}
