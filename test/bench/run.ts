/**
 * The benchmarks: starts shiplog and its peers, drives them with the same loads in turn, prints what came of it, and
 * keeps it in bench/.
 *
 *   npm run bench [-- NAME…]       all loads, or those whose names begin so
 *
 * docs/bench.md says what is measured, and how.
 */
import { execFileSync } from 'node:child_process';
import type { Bench, Result } from './frame/bench.ts';
import { formatMachine, thisMachine } from './frame/machine.ts';
import { format, formatOutcome } from './frame/print.ts';
import { keepResults } from './frame/results.ts';
import { runBench } from './frame/run-bench.ts';
import { logBenches, rsyslogConfigurations } from './logs/benches.ts';
import { sharedStore } from './logs/searches.ts';
import { registryBenches } from './registry/benches.ts';
import { verifyDurability } from './registry/durability.ts';
import { peerConfiguration } from './registry/servers.ts';

/** All that there is; the order is that of the chart. */
const benches: readonly Bench[] = [...registryBenches, ...logBenches];

const names = process.argv.slice(2);
const wanted = benches.filter(({ name }) => names.length === 0 || names.some((start) => name.startsWith(start)));
if (wanted.length === 0) {
  console.error(
    `there is no such load; there are:\n${benches.map(({ name, title }) => `  ${name}: ${title}`).join('\n')}`,
  );
  process.exit(2);
}

const machine = thisMachine();
const commit = execFileSync('git', ['describe', '--always', '--dirty'], { cwd: import.meta.dirname, encoding: 'utf8' });
console.log(`${formatMachine(machine)}\nshiplog ${commit}`);
if (wanted.some((bench) => logBenches.includes(bench))) console.log(rsyslogConfigurations());
await using _ = sharedStore;
const results: Result[] = [];
for (const bench of wanted) {
  const result = await runBench(bench);
  results.push(result);
  console.log(`${format(result)}\n`);
}
if (wanted.some((bench) => registryBenches.includes(bench))) {
  console.log(`${peerConfiguration()}\n`);
  console.log(`a trace of shiplog's system calls: all ${await verifyDurability()} files of an image were synced\n`);
}
await keepResults(
  results,
  machine,
  benches.map(({ name }) => name),
);
const missed = results.flatMap(({ name, outcomes }) =>
  outcomes.filter(({ met }) => !met).map((outcome) => `${name}: ${formatOutcome(outcome)}`),
);
console.log(missed.length === 0 ? 'every goal was reached' : missed.join('\n'));
